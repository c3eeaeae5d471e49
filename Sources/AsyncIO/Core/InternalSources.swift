import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Takes the wake-ups of other threads. What they posted is in the inbox.
final class WakerSource: EventSource {
    private let waker: Waker
    private var hasReported = false

    init(_ waker: Waker) {
        self.waker = waker
        super.init()
    }

    override var label: String { "the loop's own wake-up" }

    override var isLeftOpen: Bool { false }

    override func run() -> UnownedJob? {
        if let error = waker.drain(), !hasReported {
            // Once: what keeps failing comes back in each tick.
            hasReported = true
            runningLoop?.callExceptionHandler(
                ExceptionContext(
                    message: "The wake-up descriptor cannot be read",
                    error: IOError(error, operation: "read from the wake-up descriptor")))
        }
        return nil
    }
}

/// Serves the main dispatch queue, and with it `@MainActor`, while the loop runs on the main thread.
final class MainQueueSource: EventSource {
    let descriptor: FileDescriptor

    /// `nil` where there is no main queue.
    override init() {
        descriptor = FileDescriptor(rawValue: aio_main_queue_descriptor())
        super.init()
    }

    override var label: String { "the main queue" }

    override func run() -> UnownedJob? {
        var count: UInt64 = 0
        _ = aio_read(descriptor.rawValue, &count, 8)
        // From a source's turn, never from within a job: the queue's jobs are then not nested in one.
        aio_main_queue_drain()
        return nil
    }
}

extension EventLoop {
    /// Registers a source that the loop needs for itself and watches its descriptor.
    final func watchInternally(_ descriptor: FileDescriptor, _ source: EventSource) throws(Errno) {
        _ = register(source)
        core.pointee.internalSources += 1
        do {
            try watchReadable(descriptor, source)
        } catch {
            unregister(source)
            core.pointee.internalSources -= 1
            throw error
        }
    }

    final func unwatchInternally(_ descriptor: FileDescriptor, _ source: EventSource) {
        unwatch(descriptor, source)
        unregister(source)
        core.pointee.internalSources -= 1
    }
}
