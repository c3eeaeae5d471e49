import AsyncIOSystem

/// The remaining time of a wait, which continues after a signal.
struct WaitTime {
    /// The timeout for the system call; a negative one is no limit.
    private(set) var nanoseconds: Int64
    private let whole: Int64
    private let began: Int64

    init(_ timeoutNanoseconds: Int64?) {
        // `nil` waits without a limit; a negative timeout does not wait.
        whole = timeoutNanoseconds.map { max($0, 0) } ?? -1
        nanoseconds = whole
        began = whole > 0 ? MonotonicClock.now.nanoseconds : 0
    }

    /// A signal interrupted the wait. The loop learns of it from a descriptor, so the wait may continue.
    mutating func wasInterrupted() {
        if whole > 0 { nanoseconds = max(0, whole - (MonotonicClock.now.nanoseconds - began)) }
    }
}
