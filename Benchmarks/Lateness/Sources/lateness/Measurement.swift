import AsyncIO
import Foundation

/// A timer every millisecond, and one SIGTERM.
final class Measurement {
    private static let period = Duration.milliseconds(1)

    private let loop: EventLoop
    private var lateness: [Double] = []
    private let signalSent = SharedInstant()
    private var signalMilliseconds: Double?
    /// The work of the scenario meanwhile: callbacks, or bytes.
    private var work = 0

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func begin() throws {
        try loop.addSignalHandler(.terminate) { [self] in
            signalMilliseconds = milliseconds(signalSent.value.duration(to: loop.now))
        }
        setTimer(loop.now.advanced(by: Self.period))
    }

    /// Discards the timers that became due while the scenario blocked the loop's thread on purpose.
    func restart() {
        lateness = []
        callback?.cancel()
        setTimer(loop.now.advanced(by: Self.period))
    }

    func count(_ amount: Int) {
        work += amount
    }

    /// Sends SIGTERM to this process.
    ///
    /// - Thread: any.
    var sendSignal: @Sendable () -> Void {
        { [loop, signalSent] in
            signalSent.value = loop.now
            kill(getpid(), SIGTERM)
        }
    }

    func end() {
        loop.stop()
    }

    private var callback: TimerHandle?

    private func setTimer(_ deadline: LoopInstant) {
        callback = loop.callAt(deadline) { [self] in
            let now = loop.now
            lateness.append(milliseconds(deadline.duration(to: now)))
            setTimer(now.advanced(by: Self.period))
        }
    }

    private func milliseconds(_ duration: Duration) -> Double { duration / .milliseconds(1) }

    var json: String {
        let sorted = lateness.sorted()
        guard let worst = sorted.last, let signal = signalMilliseconds else {
            fail("no timer fired, or SIGTERM was not handled")
        }
        return String(
            format: "{\"timers\": %d, \"p99_ms\": %.3f, \"worst_ms\": %.3f, \"signal_ms\": %.3f, \"work\": %ld}",
            sorted.count, sorted[sorted.count * 99 / 100], worst, signal, work)
    }
}

/// One thread sets it before it sends the signal, and the signal's handler reads it.
private final class SharedInstant: @unchecked Sendable {
    private let lock = NSLock()
    private var instant = LoopInstant.distantFuture

    var value: LoopInstant {
        get { lock.withLock { instant } }
        set { lock.withLock { instant = newValue } }
    }
}
