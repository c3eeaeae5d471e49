import AsyncIO
import AsyncIOTesting

/// A call of a byte queue that already contains a message of the size, which is one line of text.
private func queues(_ name: String, _ body: @escaping @Sendable (inout ByteQueue, Scene) throws -> Int) -> Call {
    Call("ByteQueue." + name) { scene in
        var queue = ByteQueue(limitBytes: .max)
        try queue.append(Array(scene.line))
        let count = try body(&queue, scene)
        scene.require(count == scene.size, "\(name) gave \(count)")
    }
}

let memoryCalls = [
    queues("append(_: RawSpan)") { queue, scene in
        let bytes = scene.bytes
        scene.begin()
        try queue.append(bytes.span.bytes)
        scene.end()
        return queue.count - scene.size
    },
    queues("append(_: [UInt8])") { queue, scene in
        let bytes = scene.bytes
        scene.begin()
        try queue.append(bytes)
        scene.end()
        return queue.count - scene.size
    },
    queues("append(_: String)") { queue, scene in
        let text = scene.text
        scene.begin()
        try queue.append(text)
        scene.end()
        return queue.count - scene.size
    },
    queues("bytes") { queue, scene in
        scene.begin()
        let count = queue.bytes.byteCount
        scene.end()
        return count
    },
    queues("withBytes(_: (RawSpan) throws(Failure) -> Result)") { queue, scene in
        scene.begin()
        let count = queue.withBytes { $0.byteCount }
        scene.end()
        return count
    },
    queues("subscript(_: Int)") { queue, scene in
        // A parser that takes a message apart with this call alone.
        var sum = 0
        scene.begin()
        for offset in stride(from: 0, to: scene.size, by: 1_000) { sum += Int(queue[offset]) }
        scene.end()
        return sum == 0 ? 0 : scene.size
    },
    queues("take(_: Int)") { queue, scene in
        scene.begin()
        let count = queue.take(scene.size).count
        scene.end()
        return count
    },
    queues("takeFrame(lengthPrefix: LengthPrefix, limitBytes: Int)") { _, scene in
        var queue = ByteQueue(limitBytes: .max)
        let length = UInt32(scene.size)
        try queue.append((0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) })
        try queue.append(scene.bytes)
        scene.begin()
        let count = try queue.takeFrame(limitBytes: .max)?.count
        scene.end()
        return count ?? 0
    },
    queues("takeLine(strippingNewline: Bool, limitBytes: Int)") { queue, scene in
        scene.begin()
        let line = try queue.takeLine(strippingNewline: false, limitBytes: .max)
        scene.end()
        return line?.utf8.count ?? 0
    },
    queues("firstOffset(of: UInt8, from: Int)") { queue, scene in
        scene.begin()
        let offset = queue.firstOffset(of: 0x0A)
        scene.end()
        return (offset ?? 0) + 1
    },
    queues("firstOffset(of: [UInt8], from: Int)") { queue, scene in
        // The last four bytes, of which a part occurs every 100 bytes.
        let pattern = Array(scene.line.suffix(4))
        scene.begin()
        let offset = queue.firstOffset(of: pattern)
        scene.end()
        return (offset ?? 0) + 4
    },
    Call("Array.init(_: RawSpan)") { scene in
        let bytes = scene.bytes
        scene.begin()
        let copy = [UInt8](bytes.span.bytes)
        scene.end()
        scene.require(copy.count == scene.size, "a span was not copied")
    },
    Call("StreamChunk.bytes") { scene in
        try await withChunk(scene) { chunk in chunk.bytes.byteCount }
    },
]

private func withChunk(_ scene: Scene, _ body: (borrowing StreamChunk) -> Int) async throws {
    let (reader, writer, peer) = try scene.network.openStreams()
    peer.sends(scene.bytes)
    await scene.network.idle()
    guard let chunk = try await reader.readChunk() else { return scene.require(false, "there is no chunk") }
    scene.begin()
    let count = body(chunk)
    scene.end()
    scene.require(count > 0, "a chunk is empty")
    writer.close()
    await scene.network.idle()
}

/// A call of a test's peer.
private func plays(_ name: String, _ body: @escaping @Sendable (ScriptedPeer, Scene) async throws -> Int) -> Call {
    Call("ScriptedPeer." + name) { scene in
        let (_, writer, peer) = try scene.network.openStreams()
        await scene.network.idle()
        _ = (scene.bytes, scene.text)
        let count = try await body(peer, scene)
        scene.require(count == scene.size, "\(name) gave \(count)")
        writer.close()
        await scene.network.idle()
        _ = writer
    }
}

let testingCalls = [
    plays("sends(_: [UInt8])") { peer, scene in
        let bytes = scene.bytes
        peer.sends(bytes)
        scene.begin()
        peer.sends(bytes)
        scene.end()
        return scene.size
    },
    plays("sends(_: String)") { peer, scene in
        let text = scene.text
        scene.begin()
        peer.sends(text)
        scene.end()
        return scene.size
    },
    Call("ScriptedPeer.written") { scene in try await written(scene) { $0.written.count } },
    Call("ScriptedPeer.writtenText") { scene in try await written(scene) { $0.writtenText.utf8.count } },
    Call("ScriptedProactor.complete(_: UInt64, receiving: [UInt8])") { scene in
        let proactor = ScriptedProactor(clock: VirtualClock())
        proactor.carriesOutOperations = false
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: scene.size, alignment: 16)
        defer { memory.deallocate() }
        try proactor.submit(.receive(from: Socket(number: 1), into: memory), token: 1)
        let bytes = scene.bytes
        scene.begin()
        let count = proactor.complete(1, receiving: bytes)
        scene.end()
        scene.require(count == scene.size, "a receive took \(count) bytes")
    },
]

/// Reads the bytes that the peer has received in sends of 64 KiB.
private func written(_ scene: Scene, _ read: (ScriptedPeer) -> Int) async throws {
    let (transport, peer) = try scene.network.connect(Quiet())
    await scene.network.idle()
    let bytes = scene.bytes
    scene.begin()
    for start in stride(from: 0, to: scene.size, by: 65_536) { transport.write(bytes[start..<(start + 65_536)]) }
    let count = read(peer)
    scene.end()
    scene.require(count == scene.size, "the peer has \(count) bytes")
    transport.close()
    await scene.network.idle()
}

private final class Quiet: StreamProtocol {
    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) {}
    func connectionLost(_ error: (any Error)?) {}
}
