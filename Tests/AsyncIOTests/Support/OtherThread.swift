import CAsyncIO
import Dispatch
import Synchronization

/// A thread beside the test's own.
final class OtherThread: Sendable {
    private struct Body {
        let call: () -> Void
    }

    // SAFETY: the body was passed as `sending`; after `init` only the thread touches it.
    private nonisolated(unsafe) var body: Body?
    private let ended = DispatchSemaphore(value: 0)

    /// Starts it.
    init(_ body: sending @escaping () -> Void) {
        self.body = Body(call: body)
        let entry: @convention(c) (UnsafeMutableRawPointer) -> Void = { argument in
            let thread = Unmanaged<OtherThread>.fromOpaque(argument).takeRetainedValue()
            thread.body?.call()
            // What it captured is released before anybody learns of the end, so that a test may look for leaks.
            thread.body = nil
            thread.ended.signal()
        }
        let result = aio_thread_start(entry, Unmanaged.passRetained(self).toOpaque(), "test-other")
        precondition(result == 0, "no thread can be had")
    }

    /// Blocks until it has ended. Call it once.
    func join() {
        ended.wait()
    }

    /// Does `body` on another thread and waits for that.
    static func run<Result>(_ body: @escaping () throws -> Result) throws -> Result {
        nonisolated(unsafe) var result: Swift.Result<Result, any Error>?
        nonisolated(unsafe) let body = body
        OtherThread { result = Swift.Result(catching: body) }.join()
        return try result!.get()
    }
}

/// A number that names the calling thread for as long as it lives.
///
/// Never inlined: the optimiser takes the address of a thread-local for the same on both sides of an `await`.
@inline(never)
func currentThread() -> UInt { aio_thread_identity() }
