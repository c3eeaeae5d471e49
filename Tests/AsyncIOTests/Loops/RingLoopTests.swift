#if os(Linux)
import AsyncIOTesting
import Glibc
import Proactors
import SystemPackage
import Testing

@testable import AsyncIO

/// A loop over io_uring: its timers, and the poll of its waker.
@Suite(ioUringTrait) struct RingLoopTests {
    private static let ring = TestLoop(.ioUring)

    // covers: 339
    @Test func timersGoByTheLoopsClock() async throws {
        try await withVirtualTimeLoop(Self.ring) { loop, clock in
            let begin = clock.now
            let order = Locked<[Int]>([])
            for seconds in [86_400, 1, 3_600] {
                loop.callLater(after: .seconds(seconds)) { order.withLock { $0.append(seconds) } }
            }
            try await loop.sleep(for: .seconds(100_000))
            #expect(order.withLock { $0 } == [1, 3_600, 86_400])
            #expect(begin.duration(to: clock.now) == .seconds(100_000))
        }
    }

    // covers: 340
    @Test func wakerIsPolledAgainAfterEachWakeUpAndEachRun() async throws {
        let count = Counter()
        try await withLoopThread(Self.ring) { loop in
            for run in 1...5 {
                let other = OtherThread {
                    for _ in 0..<20 {
                        let before = count.value
                        _ = try? loop.callSoonThreadsafe { count.increment() }
                        // The loop waits in the kernel again, or is about to.
                        while count.value == before { sched_yield() }
                    }
                    _ = try? loop.callSoonThreadsafe { loop.stop() }
                }
                try loop.runForever()
                other.join()
                #expect(count.value == 20 * run)
            }
        }
    }

    // covers: 338
    @Test func loopThatNeverRanIsFreedWithItsRing() async throws {
        for _ in 0..<20 {
            weak var freed: EventLoop?
            weak var source: BufferPool?
            try {
                let loop = try Self.ring.makeLoop()
                freed = loop
                source = loop.chunkPool
                try loop.close()
            }()
            #expect(freed == nil && source == nil)
        }
    }
}
#endif
