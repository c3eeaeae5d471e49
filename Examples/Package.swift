// swift-tools-version: 6.2
import PackageDescription

// A user's package: default settings, one dependency on the library.
let asyncIO: Target.Dependency = .product(name: "AsyncIO", package: "swift-asyncio")

let package = Package(
    name: "examples",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-asyncio", path: ".."),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.0"),
    ],
    targets: [
        .executableTarget(name: "EchoProtocol", dependencies: [asyncIO]),
        .executableTarget(name: "EchoStreams", dependencies: [asyncIO]),
        .executableTarget(name: "Chat", dependencies: [asyncIO]),
        .executableTarget(name: "ChatClient", dependencies: [asyncIO]),
        .executableTarget(name: "FileServer", dependencies: [asyncIO]),
        .executableTarget(name: "RedisClient", dependencies: [asyncIO]),
        .executableTarget(name: "PortScanner", dependencies: [asyncIO]),
        .executableTarget(name: "Cron", dependencies: [asyncIO]),
        .executableTarget(name: "TimeServer", dependencies: [asyncIO]),
        .executableTarget(name: "TimeClient", dependencies: [asyncIO]),
        .executableTarget(
            name: "FlyingFoxServer", dependencies: [asyncIO, .product(name: "FlyingFox", package: "FlyingFox")]),
        .executableTarget(
            name: "CustomSelector", dependencies: [asyncIO, .product(name: "Selectors", package: "swift-asyncio")]),
        .executableTarget(name: "CustomPolicy", dependencies: [asyncIO]),
        .testTarget(
            name: "VirtualTimeTests",
            dependencies: ["FileServer", asyncIO, .product(name: "AsyncIOTesting", package: "swift-asyncio")]),
    ]
)
