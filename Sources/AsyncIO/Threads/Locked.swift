import CAsyncIO

/// A value under a lock without priority inheritance, see `lock.h`.
///
/// It replaces the `Mutex` of the standard library, which makes many posts from several threads twenty times as slow on
/// Linux, and which the thread sanitizer does not support.
///
/// SAFETY: `value` is used only between `aio_lock` and `aio_unlock`.
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
