import AsyncIOSystem
import AsyncIOTesting
import Testing

@testable import AsyncIO

/// Each operation that waits throws a `CancellationError`, and nothing else, when its task is cancelled.
struct CancelledOperationsTests {
    enum Operation: CaseIterable {
        case sleepFor, sleepUntil, waitReadable, sockRecv, sockRecvInto, sockRecvFrom, sockSendAll, sockAccept
        case future, readBytes, readInto, readExactly, readAll, readUntil, readLine, readFrame, readChunk
        case write, writePieces, drain, writerWaitClosed
        case serverWaitClosed, serveForever, withServing, shutDown
        case withTimeout, withDeadline, taskGroup, gather, wait, asCompleted, shield
    }

    /// What the operations wait for. Nothing comes, and nothing is read.
    private struct Objects {
        let reader: StreamReader
        let writer: StreamWriter
        let server: Server
        let socket: Socket
        let listener: Socket

        /// More than the kernel takes.
        var much: [UInt8] { [UInt8](repeating: 1, count: 16 << 20) }

        func run(_ operation: Operation, on loop: EventLoop) async throws {
            switch operation {
            case .sleepFor: try await loop.sleep(for: .seconds(3600))
            case .sleepUntil: try await loop.sleep(until: .distantFuture)
            case .waitReadable: try await loop.waitReadable(socket.descriptor)
            case .sockRecv: _ = try await loop.sock.recv(socket, maxBytes: 1)
            case .sockRecvInto:
                var buffer: [UInt8] = [0]
                _ = try await loop.sock.recv(socket, into: &buffer)
            case .sockRecvFrom: _ = try await loop.sock.recvFrom(socket, maxBytes: 1)
            case .sockSendAll: try await loop.sock.sendAll(socket, much)
            case .sockAccept: _ = try await loop.sock.accept(listener)
            case .future: try await (loop.createFuture(of: Void.self)).value
            case .readBytes: _ = try await reader.read(maxBytes: 1)
            case .readInto:
                var buffer: [UInt8] = [0]
                _ = try await reader.read(into: &buffer)
            case .readExactly: _ = try await reader.readExactly(1)
            case .readAll: _ = try await reader.readAll(limitBytes: 1)
            case .readUntil: _ = try await reader.readUntil("\n")
            case .readLine: _ = try await reader.readLine()
            case .readFrame: _ = try await reader.readFrame()
            case .readChunk: _ = try await reader.readChunk()
            case .write: try await writer.write(much)
            case .writePieces: try await writer.write(contentsOf: [much, much])
            case .drain:
                writer.transport.write(much)
                try await writer.drain()
            case .writerWaitClosed: try await writer.waitClosed()
            case .serverWaitClosed: try await server.waitClosed()
            case .serveForever: try await server.serveForever(shutDownWithin: .zero)
            case .withServing:
                try await server.withServing(shutDownWithin: .zero) { try await loop.sleep(for: .seconds(3600)) }
            case .shutDown: try await server.shutDown(within: .seconds(3600))
            case .withTimeout:
                try await AsyncIO.withTimeout(.seconds(3600)) { try await loop.sleep(until: .distantFuture) }
            case .withDeadline:
                try await loop.withDeadline(.distantFuture) { try await loop.sleep(until: .distantFuture) }
            case .taskGroup: try await withLoopTaskGroup { _ in try await loop.sleep(until: .distantFuture) }
            case .gather: _ = try await AsyncIO.gather({ try await loop.sleep(until: .distantFuture) })
            case .wait, .asCompleted, .shield: try await runOnTask(operation, on: loop)
            }
        }

        /// Waits for another task, which the cancellation does not reach.
        private func runOnTask(_ operation: Operation, on loop: EventLoop) async throws {
            let other = loop.createTask { try await loop.sleep(until: .distantFuture) }
            defer { other.cancel() }
            switch operation {
            case .wait: _ = try await AsyncIO.wait(for: [other])
            case .asCompleted: for try await _ in AsyncIO.asCompleted([other]) {}
            default: try await AsyncIO.shield(other)
            }
        }
    }

    @Test(arguments: TestLoop.all, Operation.allCases)
    func eachEndsWithACancellationError(kind: TestLoop, operation: Operation) async throws {
        for isCancelledBefore in [false, true] {
            try await withLoop(kind) { loop in
                let end = loop.createFuture(of: Void.self)
                let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                    try await end.value
                    withExtendedLifetime(reader) {}
                }
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                await loop.until { server.acceptedCount == 1 }
                let (socket, far) = try Socket.pair()
                let listener = try Socket.stream(.ipv4)
                try listener.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!)
                try listener.listen(backlog: 1)
                let objects = Objects(
                    reader: reader, writer: writer, server: server, socket: socket, listener: listener)

                let task = loop.createTask { try await objects.run(operation, on: loop) }
                if !isCancelledBefore { for _ in 0..<10 { await loop.yield() } }
                task.cancel()
                let error = await #expect(throws: (any Error).self) { try await task.value }
                #expect(error is CancellationError, "\(operation): \(String(describing: error))")

                writer.abort()
                server.close()
                try end.setResult(())
                far.close()
                try loop.sock.close(socket)
                try loop.sock.close(listener)
            }
        }
    }
}
