import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Streams between real sockets.
struct StreamConnectionTests {
    // covers: 302
    @Test(arguments: TestLoop.allAndFiltered)
    func lineLimitOfZeroIsRejected(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for limit in [0, -1, .min] {
                let opened = await asyncCode {
                    _ = try await loop.openConnection(
                        host: "127.0.0.1", port: 1, options: ConnectionOptions(limitBytes: limit))
                }
                #expect(opened == .invalidArgument)
                let scoped = await asyncCode {
                    try await loop.withConnection(
                        host: "127.0.0.1", port: 1, options: ConnectionOptions(limitBytes: limit)
                    ) { _, _ in }
                }
                #expect(scoped == .invalidArgument)
                let started = await asyncCode {
                    _ = try await loop.startServer(
                        host: "127.0.0.1", port: 0, options: ServerOptions(limitBytes: limit)
                    ) { _, _ in }
                }
                #expect(started == .invalidArgument)
            }
            #expect(loop.statistics.sources == 0)
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func defaultLineLimitIsAsyncios(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var limits: [Int] = []
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                limits.append(reader.limitBytes)
            }
            let port = server.port
            limits.append(
                try await loop.withConnection(host: "127.0.0.1", port: port) { reader, _ in reader.limitBytes })
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
            limits.append(reader.limitBytes)
            let (own, ownWriter) = try await loop.openConnection(
                host: "127.0.0.1", port: port, options: ConnectionOptions(limitBytes: 7))
            #expect(own.limitBytes == 7)
            await loop.until { limits.count == 5 }
            #expect(limits == [Int](repeating: 65_536, count: 5))
            writer.close()
            ownWriter.close()
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func withConnectionClosesTheConnection(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoop(kind) { loop in
            var ends: [[UInt8]] = []
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                ends.append(try await reader.readToEnd())
            }
            let result = try await loop.withConnection(host: "127.0.0.1", port: server.port) { _, writer in
                try await writer.write("returned")
                writer.transport.write(", to the end")
                return 42
            }
            #expect(result == 42)
            // A child process that another test is starting may have a duplicate of the socket; the next connection
            // would be faster.
            await loop.until { ends.count == 1 }
            await #expect(throws: Failure.self) {
                try await loop.withConnection(host: "127.0.0.1", port: server.port) { _, writer in
                    try await writer.write("thrown")
                    throw Failure()
                }
            }
            await loop.until { ends.count == 2 }
            var hasWritten = false
            let cancelled = loop.createTask {
                try await loop.withConnection(host: "127.0.0.1", port: server.port) { reader, writer in
                    try await writer.write("cancelled")
                    hasWritten = true
                    _ = try await reader.readLine()
                }
            }
            await loop.until { hasWritten && server.acceptedCount == 3 && server.connectionCount == 1 }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            await loop.until { server.connectionCount == 0 }
            #expect(ends == ["returned, to the end", "thrown", "cancelled"].map { Array($0.utf8) })
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(arguments: TestLoop.allAndFiltered)
    func withConnectionResetsAfterAnIncompleteWrite(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var failure: (any Error)?
            var isHeld = true
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                while isHeld { await loop.yield() }
                do { _ = try await reader.readToEnd() } catch { failure = error }
            }
            var isWriting = false
            let client = loop.createTask {
                try await loop.withConnection(host: "127.0.0.1", port: server.port) { _, writer in
                    isWriting = true
                    // More bytes than the kernel accepts.
                    try await writer.write([UInt8](repeating: 1, count: 64 << 20))
                }
            }
            await loop.until { isWriting && server.acceptedCount == 1 }
            for _ in 0..<100 { await loop.yield() }
            client.cancel()
            await #expect(throws: CancellationError.self) { try await client.value }
            isHeld = false
            await loop.until { server.connectionCount == 0 }
            #expect((failure as? IOError)?.errno == .connectionReset)
            server.close()
            try await server.waitClosed()
        }
    }

    /// A slow reader and a fast writer: only the kernel's buffers hold bytes, and the library buffers nothing.
    // covers: 304, F9
    @Test(arguments: TestLoop.allAndFiltered)
    func slowReaderDelaysTheWriterInsteadOfUsingMemory(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (near, far) = try Socket.pair()
            // The kernel doubles it.
            try near.setOption(.sendBufferBytes, to: 64 * 1024)
            let (_, writer) = try streams(loop, near)
            let (reader, itsWriter) = try streams(loop, far)
            let total = 8 << 20
            let piece = (0..<100_003).map { UInt8(truncatingIfNeeded: $0 / 3) }
            // So that the received bytes can be compared in one step.
            let twice = piece + piece
            var written = 0
            let writing = loop.createTask {
                while written < total {
                    let bytes = piece.prefix(total - written)
                    try await writer.write(Array(bytes))
                    written += bytes.count
                }
                writer.close()
            }
            // No task reads, so the writer waits and the loop is idle.
            for _ in 0..<50 { await loop.yield() }
            let standing = written
            for _ in 0..<50 { await loop.yield() }
            #expect(written == standing && written < 512 * 1024)

            var read = 0
            var most = 0
            while true {
                let bytes = try await reader.read(maxBytes: 64 * 1024)
                if bytes.isEmpty { break }
                let offset = read % piece.count
                try #require(bytes == Array(twice[offset..<(offset + bytes.count)]))
                read += bytes.count
                await loop.yield()
                most = max(most, written - read)
                // What the driver has taken is all that is buffered.
                let driverBytes = writer.transport.driver.unsentBytes
                #expect(writer.transport.writeBufferBytes == driverBytes && driverBytes <= 128 * 1024)
            }
            try await writing.value
            #expect(read == total)
            #expect(most < 512 * 1024)
            itsWriter.close()
        }
    }

    // covers: 308
    @Test(arguments: TestLoop.allAndFiltered)
    func waitClosedReturnsWithUnreadInput(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (reader, writer) = try streams(loop, near)
            let (itsReader, itsWriter) = try streams(loop, far)
            try await itsWriter.write("unread")
            writer.close()
            try await writer.waitClosed()
            // EOF or a reset; the system chooses.
            _ = try? await itsReader.readToEnd()
            itsWriter.close()
            try? await itsWriter.waitClosed()
            #expect(loop.statistics.sources == 0)
            withExtendedLifetime(reader) {}
        }
    }

    private func streams(_ loop: EventLoop, _ socket: Socket) throws -> (StreamReader, StreamWriter) {
        let driver = try loop.makeStreamDriver(ByteChannel(socket))
        return StreamTransport(loop: loop, driver: driver, consumer: nil, peerAddress: nil)
            .makeStreams(limitBytes: EventLoop.defaultLineLimitBytes)
    }
}
