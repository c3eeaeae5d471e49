import AsyncIO
import AsyncIOTesting

/// The bytes that wait to be read.
private enum Content {
    case bytes, line, lineAndEnd, bytesAndEnd, frame
}

/// A call of a `StreamReader`, when all bytes have arrived.
private func reads(
    _ name: String, _ content: Content = .bytes, _ body: @escaping @Sendable (StreamReader, Scene) async throws -> Void
) -> Call {
    Call("StreamReader." + name) { scene in
        let (reader, writer, peer) = try scene.network.openStreams(limitBytes: 2 << 20)
        switch content {
        case .bytes, .bytesAndEnd: peer.sends(scene.bytes)
        case .line, .lineAndEnd: peer.sends(Array(scene.line))
        case .frame:
            let length = UInt32(scene.size)
            peer.sends((0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + scene.bytes)
        }
        if content == .bytesAndEnd || content == .lineAndEnd { peer.ends() }
        await scene.network.idle()
        try await body(reader, scene)
        writer.close()
        await scene.network.idle()
    }
}

/// Reads up to 64 KiB at a time, until all bytes are read.
private func repeats(_ scene: Scene, _ read: () async throws -> Int?) async throws {
    var count = 0
    scene.begin()
    while count < scene.size, let more = try await read() { count += more }
    scene.end()
    scene.require(count == scene.size, "\(count) bytes were read")
}

private let separator = Array("\n".utf8)

let readerCalls = [
    reads("read(into: [UInt8])") { reader, scene in
        var buffer = [UInt8](repeating: 0, count: 65_536)
        try await repeats(scene) { try await reader.read(into: &buffer) }
    },
    reads("read(into: UnsafeMutableRawBufferPointer)") { reader, scene in
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { buffer.deallocate() }
        try await repeats(scene) { try await reader.read(into: buffer) }
    },
    reads("read(into: MutableRawSpan)") { reader, scene in
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var count = 0
        scene.begin()
        while count < scene.size {
            var elements = buffer.mutableSpan
            var span = elements.mutableBytes
            count += try await reader.read(into: &span) ?? 0
        }
        scene.end()
    },
    reads("read(into: OutputRawSpan)") { reader, scene in
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: scene.size, alignment: 16)
        defer { memory.deallocate() }
        var span = OutputRawSpan(buffer: memory, initializedCount: 0)
        scene.begin()
        while !span.isFull { _ = try await reader.read(into: &span) }
        scene.end()
    },
    reads("read(maxBytes: Int)") { reader, scene in
        try await repeats(scene) { try await reader.read(maxBytes: .max).count }
    },
    reads("readChunk()") { reader, scene in
        try await repeats(scene) {
            guard let chunk = try await reader.readChunk() else { return nil }
            return chunk.byteCount
        }
    },
    reads("readExactly(_: Int)") { reader, scene in
        try await repeats(scene) { try await reader.readExactly(scene.size).count }
    },
    reads("readAll(limitBytes: Int)", .bytesAndEnd) { reader, scene in
        try await repeats(scene) { try await reader.readAll(limitBytes: .max).count }
    },
    reads("readFrame(lengthPrefix: LengthPrefix, limitBytes: Int?)", .frame) { reader, scene in
        try await repeats(scene) { try await reader.readFrame()?.count }
    },
    reads("readUntil(_: [UInt8])", .line) { reader, scene in
        try await repeats(scene) { try await reader.readUntil(separator).count }
    },
    reads("readUntil(_: String)", .line) { reader, scene in
        try await repeats(scene) { try await reader.readUntil("\n").count }
    },
    reads("readUntil(anyOf: [[UInt8]])", .line) { reader, scene in
        try await repeats(scene) { try await reader.readUntil(anyOf: [separator, [0x7B, 0x7D], [0]]).count }
    },
    reads("readLine(strippingNewline: Bool)", .line) { reader, scene in
        try await repeats(scene) { try await reader.readLine(strippingNewline: false)?.utf8.count }
    },
    reads("lines", .lineAndEnd) { reader, scene in
        try await repeats(scene) {
            var count = 0
            for try await line in reader.lines { count += line.utf8.count + 1 }
            return count
        }
    },
    reads("chunks", .bytesAndEnd) { reader, scene in
        try await repeats(scene) {
            var count = 0
            for try await chunk in reader.chunks { count += chunk.count }
            return count
        }
    },
    reads("frames(lengthPrefix: LengthPrefix, limitBytes: Int?)", .frame) { reader, scene in
        var frames = reader.frames()
        try await repeats(scene) { try await frames.next()?.count }
    },
]

private protocol Counting: StreamProtocol {
    var count: Int { get }
}

/// Counts the received bytes.
private final class Consumer: StreamProtocol, Counting {
    var count = 0
    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) { count += data.byteCount }
    func connectionLost(_ error: (any Error)?) {}
}

/// Counts the received bytes, in memory of the protocol.
private final class BufferedConsumer: BufferedStreamProtocol, Counting {
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    var count = 0

    deinit { memory.deallocate() }

    func connectionMade(_ transport: StreamTransport) {}
    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) { receive(memory) }
    func bufferUpdated(byteCount: Int) { count += byteCount }
    func connectionLost(_ error: (any Error)?) {}
}

/// A call that passes bytes to a protocol.
private func receives(_ name: String, _ makeProtocol: @escaping @Sendable () -> any Counting) -> Call {
    Call(name) { scene in
        let consumer = makeProtocol()
        let (transport, peer) = try scene.network.connect(consumer)
        await scene.network.idle()
        peer.sends(scene.bytes)
        await scene.count { await scene.network.idle() }
        scene.require(consumer.count == scene.size, "\(name) got \(consumer.count) bytes")
        transport.close()
        await scene.network.idle()
    }
}

let protocolCalls = [
    receives("StreamProtocol.dataReceived(_: RawSpan)") { Consumer() },
    receives("BufferedStreamProtocol.withReadBuffer(sizeHintBytes: Int, _: (UnsafeMutableRawBufferPointer) -> Void)") {
        BufferedConsumer()
    },
]
