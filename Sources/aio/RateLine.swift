import AsyncIO

/// A line on standard error with the current rate, renewed every second, while standard error is a terminal.
///
/// - Thread: the loop's.
struct RateLine {
    private let timer: RepeatingTimer?

    init(_ totals: Totals, on loop: EventLoop) {
        guard isTerminal(.standardError) else {
            timer = nil
            return
        }
        var bytes = totals.bytes
        var text = ""
        timer = loop.callRepeatedly(every: .seconds(1)) { _ in
            let rate = totals.rate(since: bytes)
            bytes = totals.bytes
            // An idle server leaves the terminal alone.
            if rate == text { return }
            text = rate
            showStatus(rate)
        }
    }

    func stop() {
        if timer?.cancel() == true { showStatus("") }
    }
}
