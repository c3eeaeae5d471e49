import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Sockets that other code has created.
struct GivenSocketTests {
    /// Creates a socket as other code does: blocking, and inherited by child processes.
    private static func plainSocket() -> Socket {
        Socket(number: socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0))
    }

    // covers: 137, 173
    @Test(arguments: TestLoop.allAndFiltered)
    func connectedSocketBecomesAConnection(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let socket = Self.plainSocket()
            _ = try socket.connect(to: server.localAddresses[0])
            let (transport, recorder) = try await loop.createConnection(to: .socket(socket)) { Recorder() }
            #expect(recorder.events == [.made])
            #expect(transport.peerAddress == server.localAddresses[0])
            #expect(try socket.isNonBlocking() && socket.closesOnExec)
            #expect(try transport.socket.option(.noDelay) != 0)
            transport.write("hello")
            await loop.until { recorder.received.count == 5 }
            // The connection is not affected.
            #expect(
                await asyncCode { _ = try await loop.createConnection(to: .socket(socket)) { Recorder() } }
                    == .descriptorInUse)
            transport.write(" again")
            await loop.until { recorder.received.count == 11 }
            transport.close()
            await loop.until { server.connectionCount == 0 }
            #expect(try openSockets(at: server.address) == 1)
            server.close()
        }
    }

    // covers: 137
    @Test(arguments: TestLoop.allAndFiltered)
    func acceptedSocketBecomesAConnection(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (_, accepted) = try await loop.createConnection(to: .socket(near)) { Recorder() }
            let (client, recorder) = try await loop.createConnection(to: .socket(far)) { BufferedRecorder() }
            accepted.transport?.write("over a unix socket")
            accepted.transport?.close()
            await loop.until { recorder.transport == nil }
            #expect(recorder.received == Array("over a unix socket".utf8))
            #expect(client.isClosing)
        }
    }

    // covers: 137, 173
    @Test(arguments: TestLoop.allAndFiltered, [SocketPlace.ipv4, .ipv6])
    func socketAcceptedByAListenerBecomesAConnection(kind: TestLoop, place: SocketPlace) async throws {
        try await withLoop(kind) { loop in
            let (client, accepted) = try await loop.connectedSockets(place)
            let (transport, _) = try await loop.createConnection(to: .socket(accepted)) { EchoProtocol() }
            #expect(transport.peerAddress == client.localAddress)
            #expect(transport.localAddress == client.peerAddress)
            #expect(try transport.socket.option(.noDelay) != 0)
            try await loop.sock.sendAll(client, [1, 2, 3])
            #expect(try await loop.sock.recv(client, maxBytes: 10) == [1, 2, 3])
            client.close()
            await loop.until { transport.socket.descriptor == nil }
        }
    }

    /// Another socket gets the number right afterwards.
    // covers: 163
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func cancelledTaskClosesTheSocketItWasPassedOnce(kind: TestLoop, isUnderWay: Bool) async throws {
        try await withLoop(kind) { loop in
            for _ in 0..<10 {
                let (near, far) = try Socket.pair()
                let recorder = Recorder()
                let connecting = loop.createTask {
                    _ = try await loop.createConnection(to: .socket(near)) { recorder }
                }
                // Before the first step of the task, or while it waits for `connectionMade`.
                if isUnderWay { await loop.yield() }
                connecting.cancel()
                await #expect(throws: CancellationError.self) { try await connecting.value }
                await loop.until { loop.statistics.sources == 0 }
                #expect(recorder.events == (isUnderWay ? [.made, .lost(nil)] : []))
                let (next, other) = try Socket.pair()
                for _ in 0..<3 { await loop.yield() }
                sendByte(other)
                #expect(try await loop.sock.recv(next, maxBytes: 1) == [1])
                // EOF, because the socket that was passed is closed.
                #expect(try await loop.sock.recv(far, maxBytes: 1).isEmpty)
                for socket in [far, next, other] { socket.close() }
            }
        }
    }

    // covers: 162
    @Test(arguments: TestLoop.allAndFiltered)
    func unsuitableSocketIsRejectedAndClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
            let datagram = Socket(number: socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0))
            try datagram.bind(to: address)
            #expect(
                await asyncCode { _ = try await loop.createConnection(to: .socket(datagram)) { Recorder() } }
                    == .invalidArgument)

            let unconnected = Self.plainSocket()
            try unconnected.bind(to: address)
            let unconnectedFile = OpenFile(unconnected.descriptor)
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.createConnection(to: .socket(unconnected)) { Recorder() }
            }
            #expect(error?.errno == .socketNotConnected)
            #expect(unconnectedFile.wasClosed)

            let (near, far) = try Socket.pair()
            let nearFile = OpenFile(near.descriptor)
            await #expect(throws: Recorder.ExampleError.self) {
                _ = try await loop.createConnection(to: .socket(near)) { () throws -> Recorder in
                    throw Recorder.ExampleError()
                }
            }
            #expect(nearFile.wasClosed)
            far.close()

            await #expect(throws: IOError.self) {
                _ = try await loop.createConnection(to: .socket(Socket(number: -1))) { Recorder() }
            }
        }
    }

    /// The task does not resume on the loop, and there is no loop any more to hop to.
    // covers: 34, 162
    @Test(arguments: TestLoop.allAndFiltered)
    func socketPassedToAClosedLoopIsClosed(kind: TestLoop) async throws {
        guard #available(macOS 26, *) else { return }
        try await withLoopThread(kind) { loop in
            try loop.close()
            let ended = DispatchSemaphore(value: 0)
            Task.immediate {
                defer { ended.signal() }
                let (given, far) = try Socket.pair()
                let listening = Self.plainSocket()
                let files = [OpenFile(given.descriptor), OpenFile(listening.descriptor)]
                #expect(
                    await asyncCode { _ = try await loop.createConnection(to: .socket(given)) { Recorder() } }
                        == .closed)
                #expect(
                    await asyncCode { _ = try await loop.createServer(on: .socket(listening)) { EchoProtocol() } }
                        == .closed)
                for file in files { #expect(file.wasClosed) }
                far.close()
            }
            ended.wait()
        }
    }

    /// Sockets as a service manager passes them: bound, and possibly listening.
    // covers: 169
    @Test(arguments: TestLoop.allAndFiltered)
    func serverTakesListeningSockets(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
            let sockets = [Self.plainSocket(), Self.plainSocket()]
            for socket in sockets { try socket.bind(to: address) }
            let files = sockets.map { OpenFile($0.descriptor) }
            try sockets[0].listen(backlog: 1)
            let server = try await loop.createServer(on: .sockets(sockets)) { EchoProtocol() }
            #expect(server.localAddresses.count == 2 && server.isServing)
            for address in server.localAddresses {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: address.port!)
                try await writer.write("x")
                #expect(try await reader.readExactly(1) == Array("x".utf8))
                writer.close()
            }
            await loop.until { server.connectionCount == 0 }
            #expect(
                await asyncCode { _ = try await loop.createServer(on: .socket(sockets[0])) { EchoProtocol() } }
                    == .descriptorInUse)
            server.close()
            #expect(files.allSatisfy { $0.wasClosed })
            #expect(
                await asyncCode { _ = try await loop.createServer(on: .sockets([])) { EchoProtocol() } }
                    == .invalidArgument)
        }
    }

    /// Two owners would close the socket twice.
    // covers: 162
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func socketCanBePassedOnce(kind: TestLoop, startsServing: Bool) async throws {
        try await withLoop(kind) { loop in
            let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
            var options = ServerOptions()
            options.startsServing = startsServing
            let (twice, once) = (Self.plainSocket(), Self.plainSocket())
            for socket in [twice, once] {
                try socket.bind(to: address)
                try socket.listen(backlog: 1)
            }
            let files = [twice, once].map { OpenFile($0.descriptor) }
            let code = await asyncCode {
                let server = try await loop.createServer(on: .sockets([twice, once, twice]), options: options) {
                    EchoProtocol()
                }
                server.close()
            }
            #expect(code == .invalidArgument)
            #expect(files.allSatisfy { $0.wasClosed })
            #expect(loop.statistics.sources == 0)
        }
    }

    /// Also while the server does not serve yet, and while it backs off.
    // covers: 118, 162
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func socketOfAServerIsInUseInEveryState(kind: TestLoop, rests: Bool) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: rests ? 1 : 0)) { loop in
            let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
            var options = ServerOptions()
            options.startsServing = rests
            let socket = Self.plainSocket()
            try socket.bind(to: address)
            let server = try await loop.createServer(on: .socket(socket), options: options) { EchoProtocol() }
            if rests {
                var fails = true
                loop.replaceAccept { accept throws(Errno) in
                    guard fails else { return try accept() }
                    fails = false
                    throw .tooManyOpenFiles
                }
            }
            let client = try Socket.stream(for: address)
            if rests {
                _ = try client.connect(to: server.localAddresses[0])
                await loop.until { loop.statistics.unhandledErrors == 1 }
            }
            #expect(
                await asyncCode { _ = try await loop.createServer(on: .socket(socket)) { EchoProtocol() } }
                    == .descriptorInUse)
            #expect(code { try loop.addReader(socket.descriptor) {} } == .descriptorInUse)
            if !rests {
                try server.startServing()
                _ = try client.connect(to: server.localAddresses[0])
            }
            await loop.until { server.acceptedCount == 1 }
            client.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 169, 170
    @Test(arguments: TestLoop.allAndFiltered)
    func serverClosesAllSocketsIfOneIsUnsuitable(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
            let good = [Self.plainSocket(), Self.plainSocket()]
            for socket in good { try socket.bind(to: address) }
            let bad = Socket(number: socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0))
            let files = [good[0], bad, good[1]].map { OpenFile($0.descriptor) }
            let code = await asyncCode {
                _ = try await loop.createServer(on: .sockets([good[0], bad, good[1]])) { EchoProtocol() }
            }
            #expect(code == .invalidArgument)
            #expect(files.allSatisfy { $0.wasClosed })
        }
    }
}
