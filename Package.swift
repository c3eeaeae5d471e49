// swift-tools-version: 6.2
import PackageDescription

/// The checks of this repository fail on warnings. Other builds do not, because a newer compiler may have new ones.
let isStrict = Context.environment["ASYNCIO_STRICT"] == "1"
let strictSettings: [SwiftSetting] = isStrict ? [.treatAllWarnings(as: .error)] : []
let cSettings: [CSetting] =
    isStrict ? [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)] : []

/// One set of settings for every Swift target.
let settings: [SwiftSetting] =
    strictSettings + [
        // Library functions stay on their caller's thread: an async call is not a hop.
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        // A chunk's span depends on the chunk.
        .enableExperimentalFeature("Lifetimes"),
    ]

/// A release build of the tests optimizes the library, as for its users, but not the tests, because that takes minutes.
let testFlags = ["-Onone", "-no-whole-module-optimization", "-enable-batch-mode"]
let testSettings = settings + [.unsafeFlags(testFlags, .when(configuration: .release))]

let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "swift-asyncio",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "AsyncIO", targets: ["AsyncIO"]),
        .library(name: "Selectors", targets: ["Selectors"]),
        .library(name: "Proactors", targets: ["Proactors"]),
        .library(name: "AsyncIOTesting", targets: ["AsyncIOTesting"]),
        .executable(name: "aio", targets: ["aio"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    ],
    targets: [
        // L0 to L3, each importing only what stands above it.
        .target(name: "CAsyncIO", cSettings: cSettings),
        .target(name: "AsyncIOSystem", dependencies: ["CAsyncIO", systemPackage], swiftSettings: settings),
        .target(
            name: "Selectors", dependencies: ["AsyncIOSystem", "CAsyncIO", systemPackage], swiftSettings: settings),
        .target(
            name: "Proactors", dependencies: ["AsyncIOSystem", "CAsyncIO", systemPackage], swiftSettings: settings),
        .target(
            name: "AsyncIO",
            dependencies: ["Selectors", "Proactors", "AsyncIOSystem", "CAsyncIO", systemPackage],
            swiftSettings: settings),
        .target(
            name: "AsyncIOTesting",
            dependencies: ["AsyncIO", "Selectors", "Proactors", "AsyncIOSystem", "CAsyncIO", systemPackage],
            swiftSettings: settings),
        .executableTarget(
            name: "aio",
            dependencies: ["AsyncIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: settings),
        .testTarget(
            name: "AsyncIOTests",
            dependencies: [
                "AsyncIO", "AsyncIOTesting", "AsyncIOSystem", "Selectors", "Proactors", "CAsyncIO", systemPackage,
            ],
            swiftSettings: testSettings),
    ]
)
