// swift-tools-version: 6.2
import PackageDescription

// Packages like those of users: without the library's settings, built without a warning, and run.
let asyncIO: Target.Dependency = .product(name: "AsyncIO", package: "swift-asyncio")
let fixtures: [(name: String, settings: [SwiftSetting])] = [
    ("plain", []),
    (
        "main-actor-by-default",
        [.defaultIsolation(MainActor.self), .enableUpcomingFeature("NonisolatedNonsendingByDefault")]
    ),
    // The compiler's default settings, with the main actor as the default isolation.
    ("main-actor-default-settings", [.defaultIsolation(MainActor.self)]),
    // One program, compiled with the language's defaults and with its upcoming features.
    ("default-settings", []),
    (
        "upcoming-features",
        [
            .enableUpcomingFeature("NonisolatedNonsendingByDefault"), .enableUpcomingFeature("ExistentialAny"),
            .enableUpcomingFeature("InternalImportsByDefault"), .enableUpcomingFeature("MemberImportVisibility"),
        ]
    ),
    ("beside-foundation", []),
    ("main-thread", []),
    ("refused-in-async-main", []),
    ("policies", []),
    ("typed-errors", []),
    // Started by interrupts.py, which sends Ctrl-C.
    ("interrupts", []),
    ("loop-main", []),
    (
        "loop-main-of-main-actor",
        [.defaultIsolation(MainActor.self), .enableUpcomingFeature("NonisolatedNonsendingByDefault")]
    ),
    // The first example of README.md, unchanged. It serves until Ctrl-C, so scripts/user-packages starts it separately.
    ("readme", []),
]

let package = Package(
    name: "user-packages",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-asyncio", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.0"),
    ],
    targets: fixtures.map { .executableTarget(name: $0.name, dependencies: [asyncIO], swiftSettings: $0.settings) } + [
        // A selector, a proactor and a filter of a user.
        .executableTarget(
            name: "own-back-ends",
            dependencies: [
                asyncIO, .product(name: "Selectors", package: "swift-asyncio"),
                .product(name: "Proactors", package: "swift-asyncio"),
                .product(name: "AsyncIOTesting", package: "swift-asyncio"),
            ]),
        .executableTarget(
            name: "beside-nio",
            dependencies: [
                asyncIO, .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
            ]),
    ]
)
