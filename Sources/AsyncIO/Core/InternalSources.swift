import AsyncIOSystem
import CAsyncIO
import Selectors
import SystemPackage

/// Handles the wake-ups of other threads and of signals. The inbox contains what the threads submitted, and counters
/// say which signals came.
///
/// Everything that wakes the loop uses this one descriptor, which is created and registered together with the loop, so
/// a run or a signal handler needs no other descriptor.
final class WakerSource: EventSource {
    private let waker: Waker
    private var hasReported = false

    init(_ waker: Waker) {
        self.waker = waker
        super.init()
    }

    override var label: String { runningLoop?.core.pointee.signals?.label ?? "the loop's waker" }
    override var origin: CallSite? { runningLoop?.core.pointee.signals?.origin }
    override var isInternal: Bool { true }

    override func run() -> UnownedJob? {
        let error = waker.drain()
        guard let loop = runningLoop else { return nil }
        if let error, !hasReported {
            // Reported once, because a permanent failure would be reported in each iteration.
            hasReported = true
            loop.report(
                ExceptionContext(
                    message: "The wake-up descriptor cannot be read",
                    error: IOError(error, operation: "read from the wake-up descriptor")))
        }
        loop.core.pointee.interrupt?.check()
        loop.core.pointee.signals?.check()
        return nil
    }
}

/// Serves the main dispatch queue, and with it `@MainActor`, while the loop runs on the main thread.
final class MainQueueSource: EventSource {
    let descriptor: FileDescriptor

    init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }
    override var label: String { "the main queue" }
    override var isInternal: Bool { true }

    override func run() -> UnownedJob? {
        var count: UInt64 = 0
        _ = aio_read(descriptor.rawValue, &count, 8)
        // Called when the source runs, never within a job, so that the queue's jobs are not nested in one.
        aio_main_queue_drain()
        return nil
    }
}

extension EventLoop {
    /// Registers the descriptors that every loop needs. Called once, by the initializer.
    ///
    /// All of them are registered now, because at the first run the process may have more descriptors than the selector
    /// can watch, or no free descriptor.
    final func watchInternals(_ waker: Waker) throws {
        try watchInternally(waker.descriptor, WakerSource(waker), "the event loop's wake-up descriptor")
        if aio_is_main_thread() { try watchMainQueue() }
    }

    /// Called at the beginning of each run, because the main queue is served on the main thread only.
    final func prepareMainQueue() throws {
        if aio_is_main_thread() {
            if core.pointee.mainQueue == nil { try watchMainQueue() }
        } else if let source = core.pointee.mainQueue.take() {
            // The loop was created on the main thread and runs on another one. The queue's jobs would wake this loop,
            // which must not run them.
            unwatch(source.descriptor, source)
            unregister(source)
        }
    }

    private final func watchMainQueue() throws {
        let number = aio_main_queue_descriptor()
        if number == -ENOENT { return }
        if number < 0 {
            throw IOError(Errno(rawValue: -number), operation: "create the descriptor of the main queue")
        }
        let source = MainQueueSource(FileDescriptor(rawValue: number))
        try watchInternally(source.descriptor, source, "the main queue's descriptor")
        core.pointee.mainQueue = source
    }

    /// Registers a source that the loop needs for itself, and watches its descriptor.
    private final func watchInternally(_ descriptor: FileDescriptor, _ source: EventSource, _ name: String) throws {
        try checkRoom(for: descriptor, named: name)
        register(source)
        do {
            try watch(descriptor, source, for: .read, .level)
        } catch {
            unregister(source)
            throw IOError(error, operation: "watch \(name) \(descriptor.rawValue)")
        }
    }

    /// Throws `.tooManyDescriptors` if the loop cannot watch a descriptor with this number.
    package final func checkRoom(
        for descriptor: FileDescriptor, named name: String = "descriptor"
    ) throws(EventLoopError) {
        guard let limit = descriptorLimit, descriptor.rawValue >= limit else { return }
        throw .tooManyDescriptors(name, descriptor.rawValue, limit: limit, loop: backendName)
    }
}

/// Checks for events whenever the loop has been woken, because signals can do nothing but wake the loop.
class WakeUpObserver {
    /// Describes the observer in reports.
    var label: String { "\(type(of: self))" }

    /// The call that created it.
    var origin: CallSite? { nil }

    /// Called after the loop has been woken, possibly by one of the observer's events.
    func check() {}
}
