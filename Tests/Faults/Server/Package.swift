// swift-tools-version: 6.2
import PackageDescription

/// The warnings of this package are errors in the checks of the repository.
let isStrict = Context.environment["ASYNCIO_STRICT"] == "1"

let package = Package(
    name: "fault-server",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-asyncio", path: "../../.."),
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
    ],
    targets: [
        .executableTarget(
            name: "FaultServer",
            dependencies: [
                .product(name: "AsyncIO", package: "swift-asyncio"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Sources",
            swiftSettings: isStrict ? [.treatAllWarnings(as: .error)] : [])
    ]
)
