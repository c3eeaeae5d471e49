import AsyncIOSystem
import CAsyncIO

/// A value under a lock without priority inheritance, see `lock.h`. The `Mutex` of the standard library makes many
/// posts from several threads twenty times as slow on Linux, and the thread sanitizer does not support it.
///
/// SAFETY: `value` is used only between `aio_lock` and `aio_unlock`.
package struct Locked<Value>: ~Copyable, @unchecked Sendable {
    fileprivate let lock: UnsafeMutablePointer<pthread_mutex_t>
    fileprivate let value: UnsafeMutablePointer<Value>

    package init(_ initial: consuming Value) {
        lock = .allocate(capacity: 1)
        aio_lock_init(lock)
        value = .allocate(capacity: 1)
        value.initialize(to: initial)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
        aio_lock_destroy(lock)
        lock.deallocate()
    }

    @inline(__always) package borrowing func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        aio_lock(lock)
        defer { aio_unlock(lock) }
        return body(&value.pointee)
    }
}

/// A locked value with a condition variable: a thread can wait until another one has changed the value.
struct Monitor<Value>: ~Copyable, @unchecked Sendable {
    private let locked: Locked<Value>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    init(_ initial: consuming Value) {
        locked = Locked(initial)
        changed = .allocate(capacity: 1)
        aio_condition_init(changed)
    }

    deinit {
        aio_condition_destroy(changed)
        changed.deallocate()
    }

    borrowing func withLock<Result>(_ body: (inout Value) -> Result) -> Result { locked.withLock(body) }

    borrowing func signal() { aio_condition_signal(changed) }

    borrowing func broadcast() { aio_condition_broadcast(changed) }

    /// Calls `body` under the lock, and after each signal once more, until it returns a result. After the deadline its
    /// second parameter is true; then `nil` is returned if this last call returns no result.
    borrowing func wait<Result>(until deadline: LoopInstant, _ body: (inout Value, Bool) -> Result?) -> Result? {
        aio_lock(locked.lock)
        defer { aio_unlock(locked.lock) }
        // SAFETY: `body` has the value only while it runs, because another thread has the lock during the wait.
        while true {
            if let result = body(&locked.value.pointee, false) { return result }
            if deadline == .distantFuture {
                aio_condition_wait(changed, locked.lock)
            } else if !aio_condition_wait_until(changed, locked.lock, deadline.nanoseconds) {
                return body(&locked.value.pointee, true)
            }
        }
    }
}
