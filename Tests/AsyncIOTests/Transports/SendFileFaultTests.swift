import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// What goes wrong while a file is sent through a connection.
struct SendFileFaultTests {
    /// The kernel takes only pieces, or nothing now, or fails after some bytes.
    // covers: 285, F66
    @Test(arguments: TestLoop.all)
    func shortAndBlockedCallsLoseNoByte(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, _, peer) = try await SendFileTests.connect(loop)
            let content = pattern(1_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            var calls = 0
            loop.injectFaults { call in
                guard call == .sendFile else { return nil }
                calls += 1
                if calls > 40 { return .fails(.invalidArgument) }
                // Once: an edge-triggered selector reports room that the kernel has had all along only when it begins
                // to watch for it.
                if calls == 4 { return .wouldBlock }
                return .atMost(calls % 2 == 0 ? 1 : 7_777)
            }
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor, allowsCopying: false)
            }
            #expect(try await SendFileTests.read(peer, loop, count: content.count) == content)
            #expect(try await sending.value == content.count)
            #expect(calls == 41)
            transport.close()
            peer.close()
        }
    }

    // covers: 288
    @Test(arguments: TestLoop.allAndFiltered)
    func peerThatClosesInTheMiddleEndsTheConnection(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, recorder, peer) = try await SendFileTests.connect(loop)
            let file = try TestFile(pattern(20_000_000))
            defer { file.close() }
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            _ = try await SendFileTests.read(peer, loop, count: 100_000)
            peer.close()
            let error = await #expect(throws: IOError.self) { try await sending.value }
            #expect([.brokenPipe, .connectionReset].contains(error?.errno))
            await loop.until { recorder.events.count == 2 }
            #expect(recorder.events.last == .lost(.io(try #require(error?.errno))))
            let position = try file.position()
            #expect(position > 0 && position < 20_000_000)
            #expect(
                await asyncCode { try await transport.sendFile(file.descriptor) } == nil,
                "the error of the lost connection")
        }
    }

    // covers: 290
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledOneCutsTheConnectionOff(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, peer) = try await loop.connectedSockets()
            let (_, writer) = try await loop.openConnection(to: .socket(client))
            let file = try TestFile(pattern(20_000_000))
            defer { file.close() }
            nonisolated(unsafe) let shared = writer
            let sending = loop.createTask { try await shared.sendFile(file.descriptor) }
            await loop.until { writer.bytesWritten > 0 }
            for _ in 0..<100 { await loop.yield() }
            sending.cancel()
            await #expect(throws: CancellationError.self) { try await sending.value }
            #expect(try file.position() == Int64(writer.bytesWritten))
            #expect(writer.transport.state.isSendingFile == false)
            #expect(await asyncCode { try await writer.write("after") } == .incompleteWrite)
            #expect(await asyncCode { try await writer.sendFile(file.descriptor) } == .incompleteWrite)
            writer.close()
            // The peer does not take the part for the whole.
            await #expect(throws: IOError.self) { try await SendFileTests.read(peer, loop) }
            peer.close()
        }
    }

    /// Nothing was sent yet, so the connection stays usable.
    // covers: 290
    @Test(arguments: TestLoop.allAndFiltered)
    func cancellationBeforeTheFirstByteLeavesTheConnectionUsable(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, _, peer) = try await SendFileTests.connect(loop)
            let file = try TestFile(pattern(1_000))
            defer { file.close() }
            let before = pattern(20_000_000)
            transport.write(before)
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            await loop.until { transport.state.isSendingFile }
            await loop.yield()
            sending.cancel()
            await #expect(throws: CancellationError.self) { try await sending.value }
            transport.write("after")
            transport.close()
            #expect(try await SendFileTests.read(peer, loop) == before + Array("after".utf8))
            #expect(try file.position() == 0)
            peer.close()
        }
    }

    // covers: F67
    @Test(arguments: TestLoop.allAndFiltered, [0, 300_000])
    func fileThatBecomesShorterEndsWithFewerBytes(kind: TestLoop, size: Int) async throws {
        try await withLoop(kind, patiently) { loop in
            let (transport, _, peer) = try await SendFileTests.connect(loop)
            let content = pattern(30_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            let sending = loop.createTask {
                nonisolated(unsafe) let transport = transport
                return try await transport.sendFile(file.descriptor)
            }
            await loop.until { transport.unsentBytesOfWrite > 0 && transport.unsentBytesOfWrite < content.count }
            for _ in 0..<100 { await loop.yield() }
            file.truncate(to: size)
            let reading = loop.createTask { try await SendFileTests.read(peer, loop) }
            let sent = try await sending.value
            #expect(sent > 0 && sent < content.count)
            #expect(try file.position() == Int64(sent))
            // The connection goes on.
            transport.write("after")
            transport.close()
            let received = try await reading.value
            #expect(received.count == sent + 5)
            #expect(received.suffix(5) == Array("after".utf8))
            peer.close()
        }
    }

    /// The whole file, with a reader that does nothing else.
    // covers: 291, F67
    @Test(arguments: TestLoop.all.filter { ["epoll", "io_uring", "kqueue"].contains($0.name) })
    func fileAboveTwoGibibytesArrivesWhole(kind: TestLoop) async throws {
        let tail = pattern(100_000)
        let size: Int64 = (2 << 30) + 1_234_567
        let file = try TestFile(byteCount: size, endingWith: tail)
        defer { file.close() }
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(300))) { loop in
            let (client, peer) = try await loop.connectedSockets()
            try peer.setNonBlocking(false)
            let reader = OtherThread { Self.readSparse(peer, size: size, tail: tail) }
            let (_, writer) = try await loop.openConnection(to: .socket(client))
            #expect(try await writer.sendFile(file.descriptor) == Int(size))
            #expect(try file.position() == size)
            writer.close()
            reader.join()
            peer.close()
        }
    }

    /// Checks on another thread that zeros and then `tail` arrive, and EOF.
    private static func readSparse(_ socket: Socket, size: Int64, tail: [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var (count, end): (Int64, [UInt8]) = (0, [])
        var isZero = true
        while true {
            waitUntilReadable(socket.descriptor)
            let result = buffer.withUnsafeMutableBytes { socket.receive(into: $0) }
            guard case .bytes(let received) = result, received > 0 else { break }
            let zeros = Int(min(Int64(received), max(0, size - Int64(tail.count) - count)))
            buffer.withUnsafeBytes { bytes in
                if !UnsafeRawBufferPointer(rebasing: bytes[..<zeros]).isFilled(with: 0) { isZero = false }
            }
            end += buffer[zeros..<received]
            count += Int64(received)
        }
        #expect(count == size)
        #expect(isZero)
        #expect(end == tail)
    }
}
