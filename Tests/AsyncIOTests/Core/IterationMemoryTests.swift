import AsyncIOTesting
import Selectors
import Testing

@testable import AsyncIO

/// An iteration uses memory that the loop has allocated before.
struct IterationMemoryTests {
    @Test func firstWaitFindsMemoryForAllEventsOfOneWait() async throws {
        let makeLoop: @Sendable () throws -> CountingLoop = { try CountingLoop() }
        try await withLoopThread(makeLoop: makeLoop) { loop in
            loop.callSoon { loop.stop() }
            try loop.runForever()
            let capacities = loop.counter.eventCapacities
            #expect(!capacities.isEmpty)
            #expect(capacities.allSatisfy { $0 >= EventLoop.reservedEvents })
        }
    }

    @Test(arguments: TestLoop.all)
    func sourcesToCallAfterAnIterationUseTheSameMemory(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let source = EventSource()
            var addresses: Set<UInt> = []
            // Each array takes the memory that a flush would free, so that a new buffer has a new address.
            var fillers: [[EventSource]] = []
            for _ in 0..<16 {
                loop.queueAtEndOfIteration(source)
                _ = loop.core.pointee.endOfIteration.withUnsafeBufferPointer {
                    addresses.insert(UInt(bitPattern: $0.baseAddress))
                }
                try loop.runOnce()
                #expect(loop.core.pointee.endOfIteration.isEmpty == true)
                fillers.append([source])
            }
            #expect(fillers.count == 16)
            #expect(addresses.count == 1)
        }
    }
}
