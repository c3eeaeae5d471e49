import AsyncIOSystem
import CAsyncIO

/// A value under a lock, with a condition variable: a thread can wait until another one has changed the value.
///
/// SAFETY: `value` is used only between `aio_lock` and `aio_unlock`, or while a wait holds the lock.
struct Monitor<Value>: ~Copyable, @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private let value: UnsafeMutablePointer<Value>

    init(_ initial: consuming Value) {
        lock = .allocate(capacity: 1)
        aio_lock_init(lock)
        changed = .allocate(capacity: 1)
        aio_condition_init(changed)
        value = .allocate(capacity: 1)
        value.initialize(to: initial)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
        aio_condition_destroy(changed)
        changed.deallocate()
        aio_lock_destroy(lock)
        lock.deallocate()
    }

    borrowing func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        aio_lock(lock)
        defer { aio_unlock(lock) }
        return body(&value.pointee)
    }

    /// Makes one waiting thread check the value again.
    borrowing func signal() { aio_condition_signal(changed) }

    /// Makes all waiting threads check the value again.
    borrowing func broadcast() { aio_condition_broadcast(changed) }

    /// Calls `body` under the lock, and after each signal once more, until it returns a result.
    ///
    /// - Parameter body: Its second parameter is true if the deadline has passed. Then this is the last call.
    /// - Returns: `nil` if the last call returned no result.
    borrowing func wait<Result>(until deadline: LoopInstant, _ body: (inout Value, Bool) -> Result?) -> Result? {
        aio_lock(lock)
        defer { aio_unlock(lock) }
        while true {
            if let result = body(&value.pointee, false) { return result }
            if deadline == .distantFuture {
                aio_condition_wait(changed, lock)
            } else if !aio_condition_wait_until(changed, lock, deadline.nanoseconds) {
                return body(&value.pointee, true)
            }
        }
    }
}
