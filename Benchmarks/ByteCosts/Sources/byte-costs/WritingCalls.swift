import AsyncIO
import AsyncIOTesting

/// A call of a `StreamWriter`, whose peer accepts all bytes at once.
private func writes(
    _ name: String, hasPieces: Bool = false, extraBytes: Int = 0,
    _ body: @escaping @Sendable (StreamWriter, Scene) async throws -> Void
) -> Call {
    Call("StreamWriter." + name, hasPieces: hasPieces) { scene in
        let (_, writer, peer) = try scene.network.openStreams()
        await scene.network.idle()
        peer.retainsWritten = false
        _ = (scene.bytes, scene.text, scene.pieces)
        try await body(writer, scene)
        let expected = hasPieces ? scene.size * 100 : scene.size
        scene.require(peer.sends.reduce(0, +) == expected + extraBytes, "\(name) wrote too few or too many bytes")
        writer.close()
        await scene.network.idle()
    }
}

let writerCalls = [
    writes("write(_: RawSpan)") { writer, scene in
        let bytes = scene.bytes
        try await scene.count { try await writer.write(bytes.span.bytes) }
    },
    Call("StreamWriter.write(_: StreamChunk)") { scene in
        let (reader, writer, peer) = try scene.network.openStreams()
        peer.sends(scene.bytes)
        await scene.network.idle()
        peer.retainsWritten = false
        var written = 0
        while written < scene.size, let chunk = try await reader.readChunk() {
            scene.begin()
            try await writer.write(chunk)
            scene.end()
            written += chunk.byteCount
        }
        scene.require(peer.sends.reduce(0, +) == scene.size, "the chunks were not written")
        writer.close()
        await scene.network.idle()
    },
    writes("write(_: [UInt8])") { writer, scene in
        let bytes = scene.bytes
        try await scene.count { try await writer.write(bytes) }
    },
    writes("write(_: ArraySlice<UInt8>)") { writer, scene in
        let bytes = scene.bytes
        try await scene.count { try await writer.write(bytes[...]) }
    },
    writes("write(_: String)") { writer, scene in
        let text = scene.text
        try await scene.count { try await writer.write(text) }
    },
    writes("write(_: Substring)") { writer, scene in
        let text = scene.text
        try await scene.count { try await writer.write(text[...]) }
    },
    writes("write(contentsOf: some Sequence<Array<UInt8>>)") { writer, scene in
        let half = Array(scene.bytes.prefix(scene.size / 2))
        try await scene.count { try await writer.write(contentsOf: [half, half]) }
    },
    writes("write(contentsOf: some Sequence<Array<UInt8>>)", hasPieces: true) { writer, scene in
        let pieces = scene.pieces
        try await scene.count { try await writer.write(contentsOf: pieces) }
    },
    writes("writeFrame(_: [UInt8], lengthPrefix: LengthPrefix)", extraBytes: 4) { writer, scene in
        let bytes = scene.bytes
        try await scene.count { try await writer.writeFrame(bytes) }
    },
    writes("writeFrame(_: RawSpan, lengthPrefix: LengthPrefix)", extraBytes: 4) { writer, scene in
        let bytes = scene.bytes
        try await scene.count { try await writer.writeFrame(bytes.span.bytes) }
    },
]

/// A call of a `StreamTransport`, once with bytes that are sent at once, and once with bytes that are queued and sent
/// later in pieces of 64 KiB.
private func transportWrites(
    _ name: String, hasPieces: Bool = false, extraBytes: Int = 0,
    _ body: @escaping @Sendable (StreamTransport, Scene) async throws -> Void
) -> [Call] {
    [false, true].map { isQueued in
        Call("StreamTransport." + name, isQueued ? "queued" : "", hasPieces: hasPieces) { scene in
            let (transport, peer) = try scene.network.connect(Sink())
            await scene.network.idle()
            peer.retainsWritten = false
            if isQueued {
                peer.blocksWrites()
                peer.takes(atMost: 64 * 1024)
            }
            _ = (scene.bytes, scene.text, scene.pieces)
            try await body(transport, scene)
            if isQueued {
                scene.require(peer.sends.reduce(0, +) == 0, "\(name) was not queued")
                peer.unblocksWrites()
                await scene.count { await scene.network.idle() }
            }
            let expected = hasPieces ? scene.size * 100 : scene.size
            scene.require(peer.sends.reduce(0, +) == expected + extraBytes, "\(name) wrote too few or too many bytes")
            transport.close()
            await scene.network.idle()
        }
    }
}

private final class Sink: StreamProtocol {
    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) {}
    func connectionLost(_ error: (any Error)?) {}
}

let transportCalls = [
    transportWrites("write(_: RawSpan)") { transport, scene in
        let bytes = scene.bytes
        await scene.count { transport.write(bytes.span.bytes) }
    },
    transportWrites("write(_: [UInt8])") { transport, scene in
        let bytes = scene.bytes
        await scene.count { transport.write(bytes) }
    },
    transportWrites("write(_: ArraySlice<UInt8>)") { transport, scene in
        let bytes = scene.bytes
        await scene.count { transport.write(bytes[...]) }
    },
    transportWrites("write(_: String)") { transport, scene in
        let text = scene.text
        await scene.count { transport.write(text) }
    },
    transportWrites("write(_: Substring)") { transport, scene in
        let text = scene.text
        await scene.count { transport.write(text[...]) }
    },
    transportWrites("write(contentsOf: some Sequence<Array<UInt8>>)") { transport, scene in
        let half = Array(scene.bytes.prefix(scene.size / 2))
        await scene.count { transport.write(contentsOf: [half, half]) }
    },
    transportWrites("write(contentsOf: some Sequence<Array<UInt8>>)", hasPieces: true) { transport, scene in
        let pieces = scene.pieces
        await scene.count { transport.write(contentsOf: pieces) }
    },
    transportWrites("writeFrame(_: [UInt8], lengthPrefix: LengthPrefix)", extraBytes: 4) { transport, scene in
        let bytes = scene.bytes
        try await scene.count { try transport.writeFrame(bytes) }
    },
    transportWrites("writeFrame(_: RawSpan, lengthPrefix: LengthPrefix)", extraBytes: 4) { transport, scene in
        let bytes = scene.bytes
        try await scene.count { try transport.writeFrame(bytes.span.bytes) }
    },
].flatMap { $0 }
