import AsyncIO
import AsyncIOTesting
import Testing

/// Frames that tasks read and write, with the same tests on readiness and on completion.
struct StreamReaderFramesTests {
    @Test(arguments: ScriptedBackend.allCases, [1, 5, 100_000])
    func framesAreReadFromAnyPieces(backend: ScriptedBackend, step: Int) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            await network.idle()
            let sizes = step == 1 ? [0, 1, 300] : [0, 1, 300, 40_000, 65_536, 2]
            let frames = sizes.map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0 / 3), count: $0) }
            let last = frames[2]
            for frame in frames { try await writer.writeFrame(frame) }
            try await writer.writeFrame(last.span.bytes, lengthPrefix: .uint16)
            await network.idle()
            let bytes = peer.written
            let reading = network.loop.createTask {
                for frame in frames { #expect(try await reader.readFrame() == frame) }
                return try await reader.readFrame(lengthPrefix: .uint16)
            }
            for start in stride(from: 0, to: bytes.count, by: step) {
                peer.sends(Array(bytes[start..<min(start + step, bytes.count)]))
                if step < 1_000 && start < 2_000 { await network.idle() }
            }
            #expect(try await reading.value == last)
            peer.ends()
            #expect(try await reader.readFrame() == nil)
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func sequenceOfFramesEndsAtEOF(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends([2, 1, 2, 0, 1, 3])
            peer.ends()
            var frames: [[UInt8]] = []
            for try await frame in reader.frames(lengthPrefix: .uint8) { frames.append(frame) }
            #expect(frames == [[1, 2], [], [3]])
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func eofWithinAFrameIsAnError(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            for bytes: [UInt8] in [[0, 0], [0, 0, 0, 5, 1, 2]] {
                let (reader, writer, peer) = try network.openStreams()
                peer.sends(bytes)
                peer.ends()
                let error = await #expect(throws: IncompleteReadError.self) { try await reader.readFrame() }
                #expect(error?.expectedBytes == (bytes.count == 2 ? 4 : 5))
                #expect(error?.partial == (bytes.count == 2 ? [0, 0] : [1, 2]))
                writer.close()
            }
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func frameBeyondTheLimitCanStillBeRead(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 10)
            peer.sends([0, 0, 0, 11] + [UInt8](repeating: 1, count: 11))
            await #expect(throws: LimitOverrunError.self) { _ = try await reader.readFrame() }
            #expect(await asyncCode { _ = try await reader.readFrame(limitBytes: -1) } == .invalidArgument)
            #expect(try await reader.readFrame(limitBytes: 11)?.count == 11)
            // Gigabytes that are only announced allocate nothing.
            peer.sends([0xFF, 0xFF, 0xFF, 0xFF])
            await #expect(throws: LimitOverrunError.self) { _ = try await reader.readFrame() }
            writer.close()
        }
    }

    // covers: 129
    @Test(arguments: ScriptedBackend.allCases)
    func cancelledReadTakesNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 1 << 20)
            await network.idle()
            let frame = [UInt8](repeating: 3, count: 100_000)
            try await writer.writeFrame(frame)
            await network.idle()
            let bytes = peer.written
            for count in [2, 4, 90_000] {
                let reading = network.loop.createTask { try await reader.readFrame() }
                peer.sends(Array(bytes.prefix(count)))
                await network.idle()
                reading.cancel()
                await #expect(throws: CancellationError.self) { try await reading.value }
                let again = network.loop.createTask { try await reader.readFrame() }
                await network.idle()
                peer.sends(Array(bytes.dropFirst(count)))
                #expect(try await again.value == frame)
            }
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func taskOfThePoolMayReadAndWriteFrames(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend, patiently) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends([0, 0, 0, 1, 42])
            nonisolated(unsafe) let streams = (reader: reader, writer: writer)
            let frame = try await Task.detached {
                let frame = try await streams.reader.readFrame()
                try await streams.writer.writeFrame(frame ?? [], lengthPrefix: .uint8)
                return frame
            }.value
            await network.idle()
            #expect(frame == [42])
            #expect(peer.written == [1, 42])
            writer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func bytesOfEveryTypeAreWritten(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (_, writer, peer) = try network.openStreams()
            await network.idle()
            let bytes = Array("0123456789".utf8)
            let text = "0123456789"
            try await writer.write(bytes)
            try await writer.write(bytes[2..<4])
            try await writer.write(bytes.prefix(1))
            try await writer.write(bytes.span.bytes)
            try await writer.write(bytes.span.extracting(1..<3).bytes)
            try await writer.write(bytes.span.bytes)
            try await writer.write(text)
            try await writer.write(text.dropFirst(8))
            try await writer.write([1, 2])
            try await writer.write("literal")
            let transport = writer.transport
            transport.write(bytes[2..<4])
            transport.write(bytes.span.extracting(1..<3).bytes)
            transport.write(text.dropFirst(8))
            await network.idle()
            let expected =
                bytes + Array("230".utf8) + bytes + Array("12".utf8) + bytes + bytes + Array("89".utf8) + [1, 2]
                + Array("literal231289".utf8)
            #expect(peer.written == expected)
            writer.close()
        }
    }
}
