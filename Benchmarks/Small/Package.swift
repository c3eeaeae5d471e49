// swift-tools-version: 6.2
import PackageDescription

// A package of its own: it compiles the library as a user's package does, which `Benchmarks` need not wait for.

let package = Package(
    name: "small-operations",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "swift-asyncio", path: "../..")],
    targets: [
        .executableTarget(name: "small-operations", dependencies: [.product(name: "AsyncIO", package: "swift-asyncio")])
    ]
)
