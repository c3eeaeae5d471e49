// swift-tools-version: 6.2
import PackageDescription

// A separate package, so that peers and tools never become dependencies of the library.

let strict: [CSetting] = [
    .define("_GNU_SOURCE"),
    .enableWarning("all"),
    .enableWarning("extra"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "Benchmarks",
    targets: [
        .target(name: "CSupport", cSettings: strict),
        .executableTarget(name: "echo-c-epoll", dependencies: ["CSupport"], cSettings: strict),
        .executableTarget(name: "echo-c-io-uring", dependencies: ["CSupport"], cSettings: strict),
        .executableTarget(name: "load-client", dependencies: ["CSupport"], cSettings: strict),
    ],
    cLanguageStandard: .gnu17
)
