import AsyncIO
import AsyncIOTesting
import Selectors
import Testing

/// The loop of `AsyncIOTesting` whose clock jumps to the next timer, over real sockets.
@Suite struct VirtualTimeLoopTests {
    @Test(arguments: TestLoop.systemAndWrapped)
    func virtualHourPassesAtOnceWhenNothingIsReady(kind: TestLoop) async throws {
        let start = ContinuousClock.now
        try await withVirtualTimeLoop(kind) { loop, clock in
            #expect(clock.now == LoopInstant(nanoseconds: 0))
            for _ in 0..<24 { try await loop.sleep(for: .seconds(3600)) }
            #expect(clock.now == LoopInstant(nanoseconds: 86_400_000_000_000))
            #expect(loop.now == clock.now)
        }
        #expect(ContinuousClock.now - start < .seconds(3600))
    }

    @Test(arguments: TestLoop.systemAndWrapped)
    func noTimePassesWhileSocketsOfTheLoopAreReady(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                while let line = try await reader.readLine() { try await writer.write(line + "\n") }
            }
            // A request that waited for the clock would time out.
            try await withTimeout(.milliseconds(1)) {
                let port = try #require(server.localAddresses[0].port)
                try await loop.withConnection(host: "127.0.0.1", port: port) { reader, writer in
                    for number in 0..<100 {
                        try await writer.write("\(number)\n")
                        #expect(try await reader.readLine() == "\(number)")
                    }
                }
            }
            #expect(clock.now == LoopInstant(nanoseconds: 0))
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(arguments: TestLoop.systemAndWrapped)
    func silentPeerHitsTheTimeLimitExactly(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                await #expect(throws: EventLoopError.self) {
                    try await withTimeout(.seconds(60)) { _ = try await reader.readLine() }
                }
            }
            let port = try #require(server.localAddresses[0].port)
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: port)
            #expect(try await reader.readLine() == nil)
            #expect(clock.now == LoopInstant(nanoseconds: 60_000_000_000))
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    @Test func testMayAdvanceTheClock() async throws {
        let order = try await withVirtualTimeLoopThread { loop, clock in
            var order: [String] = []
            loop.callLater(after: .seconds(2)) {
                order.append("second")
                loop.stop()
            }
            loop.callLater(after: .seconds(1)) { order.append("first") }
            clock.advance(by: .seconds(5))
            try loop.runForever()
            #expect(clock.now == LoopInstant(nanoseconds: 5_000_000_000))
            return order
        }
        #expect(order == ["first", "second"])
    }

    @Test(arguments: TestLoop.systemAndWrapped)
    func bytesWithinTheSettlingTimePrecedeATimer(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            clock.settlingTime = .seconds(20)
            let (near, far) = try Socket.pair()
            defer { far.close() }
            let (reader, writer) = try await loop.openConnection(to: .socket(near))
            let timer = loop.callLater(after: .milliseconds(1)) { Issue.record("the clock moved") }
            let sender = OtherThread { sendByte(far) }
            #expect(try await reader.readExactly(1) == [1])
            sender.join()
            timer.cancel()
            #expect(clock.now == LoopInstant(nanoseconds: 0))
            writer.close()
        }
    }

    @Test func loopWithoutATimerWaitsForAnotherThread() async throws {
        let value = try await withVirtualTimeLoop { loop, _ in
            await Task.detached { 7 }.value
        }
        #expect(value == 7)
    }

    @Test func limitOfTheWrappedSelectorIsForwarded() throws {
        let clock = VirtualClock()
        for candidate in DefaultSelector.candidates {
            let plain = try candidate.make()
            #expect(VirtualTimeSelector(try candidate.make(), clock: clock).descriptorLimit == plain.descriptorLimit)
        }
    }
}
