import AsyncIOSystem
import CAsyncIO
import Selectors
import SystemPackage

/// Handles the wake-ups of other threads, whose submissions the inbox contains, and of signals, which counters count.
/// Everything that wakes the loop uses this one descriptor, so a run or a signal handler needs no other one.
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
            // A permanent failure would be reported in each iteration.
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
        // Never within a job, so that the queue's jobs are not nested in one.
        aio_main_queue_drain()
        return nil
    }
}

extension EventLoop {
    /// Registers the descriptors that every loop needs, when it is created: at the first run the process may have no
    /// free descriptor, or more than the selector can watch.
    final func watchInternals(_ waker: Waker) throws {
        try watchInternally(waker.descriptor, WakerSource(waker), "the event loop's wake-up descriptor")
        if aio_is_main_thread() { try watchMainQueue() }
    }

    /// Called at the beginning of each run, because the main queue is served on the main thread only.
    final func prepareMainQueue() throws {
        if aio_is_main_thread() {
            if core.pointee.mainQueue == nil { try watchMainQueue() }
        } else if let source = core.pointee.mainQueue.take() {
            // A loop that was created on the main thread runs on another one, and must not run the queue's jobs.
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

    package final func checkRoom(
        for descriptor: FileDescriptor, named name: String = "descriptor"
    ) throws(EventLoopError) {
        guard let limit = descriptorLimit, descriptor.rawValue >= limit else { return }
        throw .tooManyDescriptors(name, descriptor.rawValue, limit: limit, loop: backendName)
    }
}

/// Checks for events whenever the loop has been woken, because signals can do nothing but wake the loop.
class WakeUpObserver {
    var label: String { "\(type(of: self))" }

    var origin: CallSite? { nil }

    /// Called after the loop was woken, possibly by one of the observer's events.
    func check() {}
}
