import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Operations that end early: cancellation, closing, errors of the system.
struct SocketOperationTests {
    // covers: 128
    @Test(arguments: TestLoop.all)
    func cancelledReceiveHasConsumedNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var next: UInt8 = 0
                var expected: UInt8 = 0
                for round in 0..<rounds(debug: 100, full: 1_000) {
                    let task =
                        round % 4 == 3
                        ? Task(executorPreference: loop) { try await loop.sock.recv(end, maxBytes: 1) }
                        : loop.createTask { try await loop.sock.recv(end, maxBytes: 1) }
                    await loop.untilWatched()
                    if round % 2 == 0 { task.cancel() }
                    try await loop.sock.sendAll(peer, [next])
                    next &+= 1
                    // The cancellation races with a byte that has arrived.
                    if round % 2 == 1 { task.cancel() }
                    do {
                        #expect(try await task.value == [expected])
                    } catch {
                        #expect(error is CancellationError)
                        #expect(loop.statistics.sources == 0)
                        #expect(try await loop.sock.recv(end, maxBytes: 1) == [expected])
                    }
                    expected &+= 1
                }
            }
        }
    }

    // covers: 129
    @Test(arguments: TestLoop.all)
    func cancelledSendStopsAndReportsTheBytesSent(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                let bytes = pattern(5_000_000)
                var written = -1
                let task = loop.createTask { try await loop.sock.sendAll(end, bytes, bytesSent: &written) }
                await loop.untilWatched()
                await loop.yield()
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(written > 0 && written < bytes.count)
                #expect(loop.statistics.sources == 0)
                // Nothing follows by itself. What is sent next follows directly.
                try end.shutdownWrite()
                var received: [UInt8] = []
                while case let more = try await loop.sock.recv(peer, maxBytes: 65_536), !more.isEmpty {
                    received += more
                }
                #expect(received == Array(bytes[..<written]))
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func operationThatNeedNotWaitSucceedsInACancelledTask(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                let task = loop.createTask {
                    try await loop.sock.sendAll(peer, [1, 2])
                    let bytes = try await loop.sock.recv(end, maxBytes: 10)
                    do {
                        _ = try await loop.sock.recv(end, maxBytes: 10)
                        Issue.record("it has waited for nothing")
                    } catch {
                        #expect(error is CancellationError)
                    }
                    return bytes
                }
                task.cancel()
                let bytes = try await task.value
                #expect(bytes == [1, 2])
            }
        }
    }

    // covers: 132, F70
    @Test(arguments: TestLoop.all)
    func closingASocketEndsTheWaitsForIt(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (end, peer) = try Socket.pair()
            let receiving = loop.createTask { _ = try await loop.sock.recv(end, maxBytes: 10) }
            let sending = loop.createTask { try await loop.sock.sendAll(end, pattern(5_000_000)) }
            await loop.until { loop.statistics.waitingTasks >= 2 }
            try loop.sock.close(end)
            // The number belongs to another file at once, which the ended operations never use.
            let (again, third) = try Socket.pair()
            await loop.yield()
            await loop.yield()
            #expect(loop.statistics.sources == 0)
            let received = await #expect(throws: EventLoopError.self) { try await receiving.value }
            #expect(received?.code == .closed)
            #expect(received?.description == "the socket was closed")
            let sent = await #expect(throws: EventLoopError.self) { try await sending.value }
            #expect(sent?.code == .closed)
            for socket in [again, third, peer] { try loop.sock.close(socket) }

            let full = try FullListener()
            let socket = try Socket.stream(.ipv4)
            let connecting = loop.createTask { try await loop.sock.connect(socket, to: full.address) }
            let accepting = try SocketPlace.ipv4.listen()
            let accept = loop.createTask { _ = try await loop.sock.accept(accepting.socket) }
            await loop.untilWatched(2)
            try loop.sock.close(socket)
            try loop.sock.close(accepting.socket)
            #expect(await asyncCode { try await connecting.value } == .closed)
            #expect(await asyncCode { try await accept.value } == .closed)
            full.close()

            // Callbacks are removed too.
            let (watched, other) = try Socket.pair()
            try loop.addReader(watched.descriptor) {}
            try loop.sock.close(watched)
            #expect(!loop.removeReader(watched.descriptor))
            #expect(loop.statistics.sources == 0)
            other.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func closingTheLoopEndsPendingOperations(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let (end, peer) = try Socket.pair()
            nonisolated(unsafe) var codes: [EventLoopError.Code?] = []
            let task = Task(executorPreference: loop) {
                codes.append(await asyncCode { _ = try await loop.sock.recv(end, maxBytes: 1) })
                codes.append(await asyncCode { _ = try await loop.sock.recv(end, maxBytes: 1) })
            }
            for _ in 0..<3 {
                loop.stop()
                try loop.runForever()
            }
            #expect(loop.statistics.sources == 1)
            try loop.close()
            #expect(codes == [.closed, .closed])
            withExtendedLifetime(task) {}
            end.close()
            peer.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func operationRejectsAClosedDescriptorAndANonSocket(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let none = Socket(number: 60_001)
            let error = await #expect(throws: IOError.self) { try await loop.sock.recv(none, maxBytes: 1) }
            #expect(error?.description == "cannot receive from socket 60001: \(Errno.badFileDescriptor)")
            await #expect(throws: IOError.self) { try await loop.sock.accept(none) }
            await #expect(throws: IOError.self) { try await loop.sock.sendAll(none, [1]) }
            #expect(
                await asyncCode { _ = try await loop.sock.recv(Socket(number: -1), maxBytes: 1) } == .invalidArgument)
            let file = try FileDescriptor.open(#filePath, .readOnly)
            let notSocket = await #expect(throws: IOError.self) {
                try await loop.sock.recv(Socket(number: file.rawValue), maxBytes: 1)
            }
            #expect(notSocket?.errno == .notSocket)
            #expect(throws: Errno.notSocket) { try Socket(adopting: file) }
            try file.close()
            #expect(loop.statistics.sources == 0)
        }
    }

    @Test(arguments: TestLoop.all)
    func adoptedSocketIsNonBlocking(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                try end.setNonBlocking(false)
                let adopted = try Socket(adopting: end.descriptor)
                #expect(try adopted.isNonBlocking())
                #expect(adopted.family == .unix)
                try adopted.shutdownRead()
                #expect(try await loop.sock.recv(adopted, maxBytes: 1).isEmpty)
                try peer.shutdown()
                #expect(try await loop.sock.recv(peer, maxBytes: 1).isEmpty)
            }
        }
    }

    // MARK: Faults

    // covers: F66
    @Test(arguments: TestLoop.all)
    func shortAndBlockedCallsLoseNoByte(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, server) = try await loop.connectedSockets()
            // Counted for each call by itself. One count for all of them would couple sender and receiver: if the
            // receiver runs first, they can fall into step, with one byte in two iterations and 1.2 million calls.
            var faults: [SocketCall: Int] = [:]
            loop.injectFaults { call in
                faults[call, default: 0] += 1
                switch faults[call, default: 0] % 4 {
                case 0: return .wouldBlock
                case 1: return .atMost(1)
                case 2: return .atMost(777)
                default: return nil
                }
            }
            let sent = pattern(300_000)
            let sending = loop.createTask { try await loop.sock.sendAll(client, sent) }
            var received: [UInt8] = []
            while received.count < sent.count { received += try await loop.sock.recv(server, maxBytes: 10_000) }
            try await sending.value
            #expect(received == sent)
            let file = try TestFile(sent)
            defer { file.close() }
            let sendingFile = loop.createTask { try await loop.sock.sendFile(client, file.descriptor) }
            received = []
            while received.count < sent.count { received += try await loop.sock.recv(server, maxBytes: 10_000) }
            #expect(try await sendingFile.value == sent.count)
            #expect(received == sent)

            let (listener, address) = try SocketPlace.ipv4.listen()
            for _ in 0..<20 {
                let socket = try Socket.stream(.ipv4)
                try await loop.sock.connect(socket, to: address)
                try await loop.sock.accept(listener).socket.close()
                socket.close()
            }
            let (first, second) = (try Socket.datagram(.ipv4), try Socket.datagram(.ipv4))
            try second.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!)
            for number in 0..<20 {
                try await loop.sock.sendTo(first, [UInt8(number)], to: second.localAddress!)
                #expect(try await loop.sock.recvFrom(second, maxBytes: 10).bytes == [UInt8(number)])
            }
            #expect(faults.keys.count == SocketCall.ofOperations.count)
            for socket in [client, server, listener, first, second] { socket.close() }
        }
    }

    // covers: F66
    @Test(arguments: TestLoop.all, SocketCall.ofOperations)
    func failedCallThrowsOnceAndLeavesTheSocketUsable(kind: TestLoop, call: SocketCall) async throws {
        try await withLoop(kind) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            let client = try Socket.stream(.ipv4)
            let (first, second) = (try Socket.datagram(.ipv4), try Socket.datagram(.ipv4))
            try second.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!)
            var server: Socket?
            let file = try TestFile([5, 6])
            defer { file.close() }
            let operations: [(SocketCall, () async throws -> Void)] = [
                (.connect, { try await loop.sock.connect(client, to: address) }),
                (.accept, { server = try await loop.sock.accept(listener).socket }),
                (.send, { try await loop.sock.sendAll(client, [1, 2, 3]) }),
                (.receive, { try await expect([1, 2, 3]) { try await loop.sock.recv(server!, maxBytes: 10) } }),
                (.sendFile, { try await loop.sock.sendFile(client, file.descriptor) }),
                (.sendTo, { try await loop.sock.sendTo(first, [4], to: second.localAddress!) }),
                (.receiveFrom, { try await expect([4]) { try await loop.sock.recvFrom(second, maxBytes: 10).bytes } }),
            ]
            for (name, operation) in operations {
                if name == call {
                    for error in [Errno.noMemory, .noBufferSpace] {
                        loop.injectFaults { $0 == call ? .fails(error) : nil }
                        do {
                            try await operation()
                            Issue.record("the error is lost")
                        } catch {
                            #expect([Errno.noMemory, .noBufferSpace].contains((error as? IOError)?.errno))
                        }
                        #expect(loop.statistics.sources == 0)
                    }
                    loop.replaceSystemCalls(by: nil)
                }
                try await operation()
            }
            for socket in [listener, client, first, second, server!] { socket.close() }
        }
    }

    private func expect(_ expected: [UInt8], _ receive: () async throws -> [UInt8]) async throws {
        let bytes = try await receive()
        #expect(bytes == expected)
    }

    private static let errorsOfOneClient: [Errno] = [
        .connectionAbort, .protocolError, .protocolNotAvailable, .networkDown, .networkUnreachable, .hostIsDown,
        .noRouteToHost,
    ]

    @Test(arguments: TestLoop.all, errorsOfOneClient)
    func acceptSkipsAClientThatHasDisconnected(kind: TestLoop, error: Errno) async throws {
        try await withLoop(kind) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            let client = try Socket.stream(.ipv4)
            try await loop.sock.connect(client, to: address)
            var aborted = 0
            loop.injectFaults { call in
                guard call == .accept, aborted < 3 else { return nil }
                aborted += 1
                return .fails(error)
            }
            let (server, peer) = try await loop.sock.accept(listener)
            #expect(aborted == 3)
            #expect(peer == client.localAddress)
            for socket in [server, client, listener] { socket.close() }
        }
    }

    @Test(arguments: TestLoop.all, [Errno.noRouteToHost, .notSupportedOnSocket, .notPermitted])
    func acceptThrowsAnErrorThatLasts(kind: TestLoop, error: Errno) async throws {
        try await withLoop(kind) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            loop.injectFaults { $0 == .accept ? .fails(error) : nil }
            let thrown = await #expect(throws: IOError.self) { try await loop.sock.accept(listener) }
            #expect(thrown?.errno == error)
            #expect(thrown?.description.hasPrefix("cannot accept on \(address): ") == true)
            listener.close()
        }
    }
}
