import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

struct EventLoopClockTests {
    // specification: 18.5.2.3.1 the step of the monotonic clock
    @Test(arguments: TestLoop.all)
    func clockResolutionIsTheSystemsOnEveryLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var step = timespec()
            #expect(clock_getres(CLOCK_MONOTONIC, &step) == 0)
            let systems = Duration.seconds(step.tv_sec) + .nanoseconds(step.tv_nsec)
            #expect(systems > .zero)
            #expect(loop.clock.minimumResolution == systems)
            #expect(loop.clock.minimumResolution == systems)
        }
    }

    @Test(arguments: LoopKind.available)
    func customClockHasItsOwnResolution(kind: LoopKind) async throws {
        final class CoarseClock: EventLoopClock, @unchecked Sendable {
            override var resolution: Duration { .milliseconds(16) }
        }
        let makeLoop: @Sendable () throws -> EventLoop = { try kind.makeLoop(clock: CoarseClock()) }
        try await withLoopThread(makeLoop: makeLoop) { loop in
            #expect(loop.clock.minimumResolution == .milliseconds(16))
            #expect(loop.clock.minimumResolution == .milliseconds(16))
            // The resolution is only reported: deadlines are compared in nanoseconds.
            try expectShortTimersOnTime(on: loop)
        }
    }
}
