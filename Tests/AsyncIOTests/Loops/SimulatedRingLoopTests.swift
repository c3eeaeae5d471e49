#if os(Linux)
import AsyncIOTesting
import CAsyncIO
import Proactors
import SystemPackage
import Testing

@testable import AsyncIO

/// A loop over a ring with a simulated kernel, whose completions come late, twice, or in another order.
struct SimulatedRingLoopTests {
    // covers: 328, F26
    @Test func completionsOfAFormerConnectionNeverReachTheNextOne() async throws {
        try await withSimulatedLoop { loop, kernel in
            let former = try loop.connectPair(Recorder())
            try loop.step(3)
            let stale = try #require(kernel.receive(of: former.near))
            kernel.sends("for the former", to: former.near)
            try loop.step(2)
            former.transport.abort()
            try loop.step(4)
            #expect(former.recorder.eventsWithoutData == [.made, .lost(nil)])

            // The next operations have the slots of the former ones.
            let next = try loop.connectPair(Recorder())
            try loop.step(3)
            let own = try #require(kernel.receive(of: next.near))
            #expect(own.token != stale.token)
            for result in [0, -104, 5, -125] as [CInt] {
                for flags in [0, AIO_RING_HAS_MORE] {
                    kernel.post(stale.userData, result, flags)
                    try loop.step(2)
                }
            }
            #expect(next.recorder.events == [.made])
            kernel.sends("for the next", to: next.near)
            try loop.step(2)
            #expect(next.recorder.events == [.made, .data("for the next")])
            next.transport.close()
            try loop.step(4)
            #expect(next.recorder.eventsWithoutData == [.made, .lost(nil)])
            for far in [former.far, next.far] { far.close() }
        }
    }

    // covers: F26
    @Test func completionsOfAFormerPollWakeNobody() async throws {
        try await withSimulatedLoop { loop, kernel in
            let (near, far) = try Socket.pair()
            var calls: [String] = []
            try loop.addReader(near.descriptor) { calls.append("former") }
            try loop.step(2)
            let stale = try #require(kernel.poll(of: near))
            loop.removeReader(near.descriptor)
            try loop.addReader(near.descriptor) { calls.append("next") }
            try loop.step(2)
            let own = try #require(kernel.poll(of: near))
            for _ in 0..<3 {
                kernel.post(stale.userData, 1)
                try loop.step(2)
            }
            #expect(calls == [])
            kernel.complete(own.userData, 1)
            try loop.step(2)
            #expect(calls == ["next"])
            // Armed again once, by a new operation.
            #expect(kernel.operations.count { $0.entry.fd == near.number } == 1)
            kernel.post(own.userData, 1)
            try loop.step(2)
            #expect(calls == ["next"])
            loop.removeReader(near.descriptor)
            for socket in [near, far] { socket.close() }
        }
    }

    // covers: 330, F25
    @Test func bytesThatArriveAfterTheEndReturnTheirBuffer() async throws {
        try await withSimulatedLoop { loop, kernel in
            kernel.cancelsAtOnce = false
            let former = try loop.connectPair(Recorder())
            try loop.step(3)
            let operation = try #require(kernel.receive(of: former.near))
            former.transport.abort()
            try loop.step(3)
            #expect(former.recorder.events == [.made, .lost(nil)])
            // The kernel closes the descriptor behind the cancellation, so that nobody gets its number before.
            let close = try #require(kernel.operations.first { $0.entry.opcode == AIO_RING_CLOSE })
            #expect(aio_check_open(former.near.number) == 0)
            former.near.close()
            kernel.complete(close.userData, 0)
            kernel.sends("nobody wants this", to: former.near)
            kernel.sends("nor that", to: former.near)
            try loop.step(2)
            #expect(kernel.providedBuffers(0).count == 64)
            kernel.complete(operation.userData, -Errno.canceled.rawValue)
            try loop.step(2)
            #expect(loop.statistics.sources == 0)
            former.far.close()
        }
    }

    // covers: 331, 335, F27
    @Test(arguments: [Errno.noBufferSpace, .resourceTemporarilyUnavailable, .canceled])
    func receiveThatEndsIsSubmittedAgainOnce(error: Errno) async throws {
        try await withSimulatedLoop { loop, kernel in
            let connection = try loop.connectPair(Recorder())
            try loop.step(3)
            var seen: Set<UInt64> = []
            for number in 0..<5 {
                let operation = try #require(kernel.receive(of: connection.near))
                #expect(seen.insert(operation.token).inserted)
                if number % 2 == 0 { kernel.sends("\(number)", to: connection.near) }
                kernel.complete(operation.userData, -error.rawValue)
                try loop.step(3)
                #expect(kernel.operations.count { $0.entry.fd == connection.near.number } == 1)
            }
            #expect(connection.recorder.received == Array("024".utf8))
            connection.transport.close()
            try loop.step(4)
            connection.far.close()
        }
    }

    @Test func anyNumberOfFullBuffersMayComeInARow() async throws {
        try await withSimulatedLoop { loop, kernel in
            let connection = try loop.connectPair(Recorder())
            try loop.step(3)
            var byteCount = 0
            // More than a byte can count.
            for _ in 0..<300 {
                if let operation = kernel.receive(of: connection.near) {
                    kernel.receive(operation, hasMore: operation.isMultishot) { buffer in
                        buffer.initializeMemory(as: UInt8.self, repeating: 7)
                        byteCount += buffer.count
                        return buffer.count
                    }
                }
                try loop.step(3)
            }
            #expect(byteCount == 300 * BufferPool.Size.small.byteCount)
            #expect(connection.recorder.received.count == byteCount)
            connection.transport.close()
            try loop.step(4)
            connection.far.close()
        }
    }

    // covers: 333
    @Test func reorderedAndOverflowedCompletionsReachTheirConnections() async throws {
        try await withSimulatedLoop(completions: 4) { loop, kernel in
            let connections = try (0..<12).map { _ in try loop.connectPair(Recorder()) }
            try loop.step(20)
            for (number, connection) in connections.enumerated().reversed() {
                kernel.sends("one \(number)", to: connection.near)
            }
            try loop.step(20)
            for (number, connection) in connections.enumerated() {
                #expect(connection.recorder.received == Array("one \(number)".utf8))
                connection.transport.close()
            }
            try loop.step(40)
            for connection in connections {
                #expect(connection.recorder.eventsWithoutData == [.made, .lost(nil)])
                connection.far.close()
            }
        }
    }

    // covers: 330, 331, F25
    @Test func acceptedConnectionsOfAClosedListenerAreClosed() async throws {
        try await withSimulatedLoop { loop, kernel in
            kernel.cancelsAtOnce = false
            let (listener, _) = try SocketPlace.ipv4.listen()
            let driver = loop.makeAcceptDriver(listener, clientsPerIteration: 4)
            try driver.start()
            try loop.step(2)
            let accept = try #require(kernel.operations.first { $0.entry.opcode == AIO_RING_ACCEPT })
            let (before, beforeFar) = try Socket.pair()
            let (after, afterFar) = try Socket.pair()
            kernel.complete(accept.userData, before.number, hasMore: true)
            driver.close()
            try loop.step(2)
            // It was accepted before the kernel knew of the cancellation.
            kernel.complete(accept.userData, after.number, hasMore: true)
            kernel.complete(accept.userData, -Errno.canceled.rawValue)
            try loop.step(2)
            for far in [beforeFar, afterFar] {
                #expect(far.receive(into: .init(mutating: SentBytes("x").bytes)) == .bytes(0))
                far.close()
            }
        }
    }
}

/// Calls `body` with a loop over a ring whose kernel is simulated.
private func withSimulatedLoop(
    completions: UInt32 = 64, _ body: @escaping @Sendable (EventLoop, SimulatedKernel) throws -> Void
) async throws {
    let kernel = SimulatedKernel()
    let makeLoop: @Sendable () throws -> EventLoop = {
        try ProactorEventLoop(
            proactor: IOUringProactor(simulating: kernel.makeRing(submissions: 16, completions: completions)))
    }
    try await withLoopThread(makeLoop: makeLoop) { loop in try body(loop, kernel) }
}

extension EventLoop {
    /// Runs some iterations.
    fileprivate func step(_ count: Int) throws {
        for _ in 0..<count {
            callSoon { self.stop() }
            try runForever()
        }
    }

    /// Opens a connection, whose bytes the simulated kernel moves.
    fileprivate func connectPair(
        _ recorder: Recorder
    ) throws -> (transport: StreamTransport, recorder: Recorder, near: Socket, far: Socket) {
        let (near, far) = try Socket.pair()
        let transport = StreamTransport(
            loop: self, driver: try openStreamDriver(ByteChannel(near)), consumer: recorder, peerAddress: nil)
        transport.start()
        return (transport, recorder, near, far)
    }
}

extension SimulatedKernel {
    fileprivate func receive(of socket: Socket) -> Operation? {
        operations.first { $0.entry.fd == socket.number && $0.receivesIntoPool }
    }

    fileprivate func poll(of socket: Socket) -> Operation? {
        operations.first { $0.entry.fd == socket.number && $0.entry.opcode == AIO_RING_POLL_ADD && !$0.isCancelled }
    }

    fileprivate func sends(_ text: String, to socket: Socket) {
        guard let operation = receive(of: socket) else { return }
        receive(operation, hasMore: true) { buffer in
            buffer.copyBytes(from: text.utf8)
            return text.utf8.count
        }
    }
}
#endif
