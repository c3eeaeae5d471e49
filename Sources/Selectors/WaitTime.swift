import AsyncIOSystem

/// The time that is left of a wait: a signal does not end it.
struct WaitTime {
    /// As C says it: negative is without end.
    private(set) var nanoseconds: Int64
    private let whole: Int64
    private let began: Int64

    init(_ timeoutNanoseconds: Int64?) {
        // Nil waits without end; a negative timeout does not wait.
        whole = timeoutNanoseconds.map { max($0, 0) } ?? -1
        nanoseconds = whole
        began = whole > 0 ? MonotonicClock.now.nanoseconds : 0
    }

    /// A signal came. Its effect reaches the loop through a descriptor, so the wait may go on.
    mutating func wasInterrupted() {
        if whole > 0 { nanoseconds = max(0, whole - (MonotonicClock.now.nanoseconds - began)) }
    }
}
