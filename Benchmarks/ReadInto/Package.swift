// swift-tools-version: 6.2
import PackageDescription

// The server of Benchmarks/compare that reads into its own buffer. It uses the library as a user does.

let package = Package(
    name: "ReadInto",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "swift-asyncio", path: "../..")],
    targets: [
        .executableTarget(
            name: "echo-read-into", dependencies: [.product(name: "AsyncIO", package: "swift-asyncio")],
            swiftSettings: [.treatAllWarnings(as: .error)])
    ]
)
