import CAsyncIO

/// A value under a lock that does not hand itself over: see `lock.h`.
///
/// Not the standard library's `Mutex`: on Linux that one makes a flood of posts twenty times as slow, and the thread
/// sanitizer does not understand it.
///
/// SAFETY: `value` is touched between `aio_lock` and `aio_unlock` only.
struct Locked<Value>: ~Copyable, @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let value: UnsafeMutablePointer<Value>

    init(_ initial: Value) {
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

    @inline(__always)
    borrowing func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        aio_lock(lock)
        defer { aio_unlock(lock) }
        return body(&value.pointee)
    }
}
