// swift-tools-version: 6.2
import PackageDescription

// A package of its own: it compiles the library as a user's package does, so what is not specialized across modules
// shows.

let package = Package(
    name: "byte-costs",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "swift-asyncio", path: "../..")],
    targets: [
        .target(name: "CCallgrind"),
        .executableTarget(
            name: "byte-costs",
            dependencies: [
                "CCallgrind",
                .product(name: "AsyncIO", package: "swift-asyncio"),
                .product(name: "AsyncIOTesting", package: "swift-asyncio"),
            ],
            swiftSettings: [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),
    ]
)
