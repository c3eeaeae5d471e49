import AsyncIOSystem
import Testing

struct LoopInstantTests {
    // covers: 50
    @Test func durationsAreRoundedAwayFromZero() {
        #expect(Duration.zero.wholeNanoseconds == 0)
        #expect(Duration.nanoseconds(1).wholeNanoseconds == 1)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: 1).wholeNanoseconds == 1)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: -1).wholeNanoseconds == -1)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: 1_000_000_001).wholeNanoseconds == 2)
        #expect(Duration(secondsComponent: 1, attosecondsComponent: 1).wholeNanoseconds == 1_000_000_001)
        #expect(Duration(secondsComponent: -1, attosecondsComponent: -1).wholeNanoseconds == -1_000_000_001)
        #expect(Duration.microseconds(100).wholeNanoseconds == 100_000)
    }

    // covers: 49
    @Test func durationsSaturate() {
        #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
        #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
        #expect((Duration.seconds(Int64.max) + .seconds(1)).wholeNanoseconds == .max)
        #expect((Duration.seconds(Int64.min) - .seconds(1)).wholeNanoseconds == .min)
        #expect(Duration.nanoseconds(Int64.max).wholeNanoseconds == .max)
        #expect((Duration.nanoseconds(Int64.max) + .nanoseconds(1)).wholeNanoseconds == .max)
        #expect((Duration.nanoseconds(Int64.min) - .nanoseconds(1)).wholeNanoseconds == .min)
        // The seconds alone fit; with the fraction they do not.
        #expect(
            Duration(secondsComponent: 9_223_372_036, attosecondsComponent: 999_999_999_000_000_000).wholeNanoseconds
                == .max)
        #expect(
            Duration(secondsComponent: -9_223_372_036, attosecondsComponent: -999_999_999_000_000_000).wholeNanoseconds
                == .min)
    }

    // covers: 49
    @Test func instantsSaturate() {
        let present = LoopInstant(nanoseconds: 1_000)
        #expect(present.advanced(by: .seconds(Int64.max)) == .distantFuture)
        #expect(present.advanced(by: .nanoseconds(Int64.max)) == .distantFuture)
        #expect(LoopInstant.distantFuture.advanced(by: .nanoseconds(1)) == .distantFuture)
        #expect(LoopInstant(nanoseconds: .min).advanced(by: .seconds(-1)).nanoseconds == .min)
        #expect(LoopInstant(nanoseconds: .min).duration(to: .distantFuture) == .nanoseconds(Int64.max))
        #expect(LoopInstant.distantFuture.duration(to: LoopInstant(nanoseconds: .min)) == .nanoseconds(Int64.min))
    }

    @Test func instantsAddUp() {
        let present = LoopInstant(nanoseconds: -5)
        let later = present.advanced(by: .milliseconds(3))
        #expect(later.nanoseconds == 2_999_995)
        #expect(present < later)
        #expect(present.duration(to: later) == .milliseconds(3))
        #expect(later.duration(to: present) == .milliseconds(-3))
    }

    // covers: 54
    @Test func systemClockIsMonotonic() {
        var last = MonotonicClock.now
        for _ in 0..<10_000 {
            let now = MonotonicClock.now
            #expect(now >= last)
            last = now
        }
        #expect(MonotonicClock.resolution > .zero)
    }
}
