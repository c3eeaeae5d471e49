/// The task that waits for one direction of a connection; or none. In one word, since every connection has two.
struct StreamWaiter {
    /// 0; the address of a task's record, whose lowest bit is 0; or a token, shifted by one, and 1.
    private var bits: UInt64 = 0

    init() {}

    /// SAFETY: not retained. The task takes it away before it goes on, and its record lives as long as the task.
    @inline(__always)
    init(_ record: Unmanaged<TaskRecord>) {
        bits = UInt64(UInt(bitPattern: record.toOpaque()))
    }

    /// A task that the loop has not started.
    init(_ token: WaiterToken) {
        bits = token.bits << 1 | 1
    }

    @inline(__always)
    var isEmpty: Bool { bits == 0 }

    /// Takes the waiter away, which is not empty.
    ///
    /// - Returns: The record, or `nil` and the token.
    @inline(__always)
    private mutating func take() -> (record: Unmanaged<TaskRecord>?, token: WaiterToken) {
        let taken = bits
        bits = 0
        let token = WaiterToken(bits: taken >> 1)
        guard taken & 1 == 0, let address = UnsafeRawPointer(bitPattern: UInt(taken)) else { return (nil, token) }
        // SAFETY: as at the initializer.
        return (Unmanaged<TaskRecord>.fromOpaque(address), token)
    }

    /// Ends the wait and queues the task.
    @inline(__always)
    mutating func end(on loop: EventLoop) {
        if isEmpty { return }
        let (record, token) = take()
        if let record {
            record._withUnsafeGuaranteedRef { $0.suspension.end(on: loop) }
        } else {
            loop.settle(token, .ready)
        }
    }

    /// Ends the wait and hands the task's job over: the tail job.
    @inline(__always)
    mutating func endReturningJob(on loop: EventLoop) -> UnownedJob? {
        if isEmpty { return nil }
        let (record, token) = take()
        if let record { return record._withUnsafeGuaranteedRef { $0.suspension.endReturningJob(on: loop) } }
        return loop.settleReturningJob(token)
    }
}
