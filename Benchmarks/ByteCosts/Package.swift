// swift-tools-version: 6.2
import PackageDescription

// A separate package, which compiles the library like a user's package, so that the cost of missing specialization
// across modules is visible.

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
