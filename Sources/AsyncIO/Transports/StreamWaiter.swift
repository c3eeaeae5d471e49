/// The task that waits to read or to write, if any, in one word, because each connection has two.
struct StreamWaiter {
    /// 0 for none; the address of a task's record; or a token, shifted by one bit, with 1 in the lowest bit.
    private var bits: UInt64 = 0

    init() {}

    /// SAFETY: the record is not retained. It lives as long as the task, which removes the waiter before it continues.
    @inline(__always)
    init(_ record: Unmanaged<TaskRecord>) { bits = UInt64(UInt(bitPattern: record.toOpaque())) }

    /// Creates the waiter of a task that the loop has not started.
    init(_ token: WaiterToken) { bits = token.bits << 1 | 1 }

    @inline(__always) var isEmpty: Bool { bits == 0 }

    /// Removes the waiter, which is not empty. Returns its record, or `nil` and the token.
    @inline(__always)
    private mutating func take() -> (record: Unmanaged<TaskRecord>?, token: WaiterToken) {
        let taken = bits
        bits = 0
        let token = WaiterToken(bits: taken >> 1)
        guard taken & 1 == 0, let address = UnsafeRawPointer(bitPattern: UInt(taken)) else { return (nil, token) }
        // SAFETY: as at the initializer.
        return (Unmanaged<TaskRecord>.fromOpaque(address), token)
    }

    @inline(__always) mutating func end(on loop: EventLoop) {
        if isEmpty { return }
        let (record, token) = take()
        if let record {
            record._withUnsafeGuaranteedRef { $0.suspension.end(on: loop) }
        } else {
            loop.settle(token, .ready)
        }
    }

    /// Ends the wait and returns the task's job, for a tail call.
    @inline(__always) mutating func endReturningJob(on loop: EventLoop) -> UnownedJob? {
        if isEmpty { return nil }
        let (record, token) = take()
        if let record { return record._withUnsafeGuaranteedRef { $0.suspension.endReturningJob(on: loop) } }
        return loop.settleReturningJob(token)
    }
}
