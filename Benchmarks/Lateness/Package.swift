// swift-tools-version: 6.2
import PackageDescription

// The program that Benchmarks/fairness runs in addition to the echo servers. It uses the library itself.

let package = Package(
    name: "Lateness",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "swift-asyncio", path: "../..")],
    targets: [
        .executableTarget(
            name: "lateness", dependencies: [.product(name: "AsyncIO", package: "swift-asyncio")],
            swiftSettings: [.treatAllWarnings(as: .error)])
    ]
)
