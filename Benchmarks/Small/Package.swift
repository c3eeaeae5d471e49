// swift-tools-version: 6.2
import PackageDescription

// A separate package, which compiles the library like a user's package, without waiting for `Benchmarks`.

let package = Package(
    name: "small-operations",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "swift-asyncio", path: "../..")],
    targets: [
        .executableTarget(name: "small-operations", dependencies: [.product(name: "AsyncIO", package: "swift-asyncio")])
    ]
)
