import CAsyncIO
import Foundation

/// A thread besides the test's own.
final class OtherThread: Sendable {
    private final class Body {
        let call: () -> Void

        init(_ call: @escaping () -> Void) {
            self.call = call
        }
    }

    // SAFETY: after `init` it is accessed only by `join`, which is called at most once, and by `deinit`.
    private nonisolated(unsafe) var thread: pthread_t?

    /// Starts the thread.
    init(_ body: sending @escaping () -> Void) {
        #if os(Linux)
        var thread = pthread_t()
        #else
        var thread: pthread_t?
        #endif
        let argument = Unmanaged.passRetained(Body(body))
        let result = pthread_create(
            &thread, nil,
            { argument in
                #if os(Linux)
                let body = argument!
                #else
                let body = argument
                #endif
                Unmanaged<Body>.fromOpaque(body).takeRetainedValue().call()
                return nil
            }, argument.toOpaque())
        precondition(result == 0, "no thread can be had")
        self.thread = thread
    }

    deinit {
        if let thread { pthread_detach(thread) }
    }

    /// Blocks until the thread has ended; the captures of its body, and the thread's own objects, are then released.
    func join() {
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    /// Calls `body` on another thread and waits for it.
    static func run<Result>(_ body: @escaping () throws -> Result) throws -> Result {
        nonisolated(unsafe) var result: Swift.Result<Result, any Error>?
        nonisolated(unsafe) let body = body
        OtherThread { result = Swift.Result(catching: body) }.join()
        return try result!.get()
    }
}

/// Returns a number that identifies the calling thread as long as it exists.
///
/// Never inlined, because the optimizer assumes that the address of a thread-local variable is the same before and
/// after an `await`.
@inline(never)
func currentThread() -> UInt { aio_thread_identity() }

/// The name of the calling thread.
func currentThreadName() -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
        aio_thread_name(buffer.baseAddress!, buffer.count)
        return String(cString: buffer.baseAddress!)
    }
}
