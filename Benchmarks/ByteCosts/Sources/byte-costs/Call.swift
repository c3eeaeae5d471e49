import AsyncIO
import AsyncIOTesting
import CCallgrind

/// A public call, the name that Benchmarks/bytes uses for it, and how to make it.
struct Call {
    let name: String
    /// The circumstances of the call, because the same call is measured in several ways.
    let variant: String
    /// Whether the call takes several pieces; `size` is then their number.
    let hasPieces: Bool
    private let body: @Sendable (Scene) async throws -> Void

    init(
        _ name: String, _ variant: String = "", hasPieces: Bool = false,
        _ body: @escaping @Sendable (Scene) async throws -> Void
    ) {
        self.name = name
        self.variant = variant
        self.hasPieces = hasPieces
        self.body = body
    }

    func measure() throws {
        let sizes = hasPieces ? Main.pieceCounts : Main.sizes
        // The first call is not counted, because it does what happens once in a process.
        for (size, isCounted) in [(sizes[0], false)] + sizes.map({ ($0, true) }) {
            let network = try ScriptedNetwork(.readiness)
            let (body, name) = (body, "\(name)|\(variant)|\(hasPieces ? "pieces" : "bytes")|\(size)")
            let scene = Scene(network, size: size, isCounted: isCounted)
            nonisolated(unsafe) let sentScene = scene
            try network.loop.runUntilComplete { try await body(sentScene) }
            try network.loop.close()
            if isCounted { callgrind_dump(name) }
        }
    }
}

/// The data of a call.
final class Scene {
    let network: ScriptedNetwork
    let size: Int
    private let isCounted: Bool

    init(_ network: ScriptedNetwork, size: Int, isCounted: Bool) {
        self.network = network
        self.size = size
        self.isCounted = isCounted
    }

    /// Letters, with a space after each 100: `size` bytes.
    lazy var bytes = (0..<size).map { index -> UInt8 in
        if index % 101 == 100 { return 0x20 }
        return 0x61 + UInt8(index % 23)
    }
    lazy var text = String(decoding: bytes, as: UTF8.self)
    lazy var line = bytes.dropLast() + [0x0A]

    /// Pieces of 100 bytes.
    lazy var pieces = [[UInt8]](repeating: [UInt8](repeating: 0x61, count: 100), count: size)

    func begin() { if isCounted { callgrind_toggle() } }
    func end() { if isCounted { callgrind_toggle() } }

    /// Counts the instructions of `body`.
    func count(_ body: () async throws -> Void) async rethrows {
        begin()
        try await body()
        end()
    }

    func require(_ condition: Bool, _ message: String) {
        if !condition { fatalError("byte-costs: \(message)") }
    }
}
