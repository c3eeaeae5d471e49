// swift-tools-version: 6.2
import PackageDescription

// SwiftNIO as an echo server. It is a separate package, built only when it is measured.

let package = Package(
    name: "NIO",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://github.com/apple/swift-nio.git", from: "2.80.0")],
    targets: [
        .executableTarget(
            name: "echo-nio",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ])
    ]
)
