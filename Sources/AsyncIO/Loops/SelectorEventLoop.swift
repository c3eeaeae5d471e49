package import AsyncIOSystem
public import Selectors
package import SystemPackage

/// An event loop over readiness: it asks a selector which descriptors would not block, and calls the kernel itself.
/// asyncio: `SelectorEventLoop`.
open class SelectorEventLoop: EventLoop, @unchecked Sendable {
    private let selector: any BaseSelector
    /// Emptied at each wait; kept, so that a tick allocates nothing.
    @exclusivity(unchecked) private var events: [ReadyEvent] = []
    /// Who uses a descriptor: a transport, or a watcher of the user's.
    final var users: [CInt: EventSource] = [:]

    /// Makes a loop over `selector`, or over the best selector of this system. It belongs to the calling thread, until
    /// the first run binds it to the thread that runs it.
    ///
    /// The selector is the loop's from then on. Throws an `IOError` if the system lets no selector or waker be made.
    public init(selector: (any BaseSelector)? = nil, clock: EventLoopClock = .system) throws {
        do {
            self.selector = try selector ?? DefaultSelector.make()
            let waker = try Waker()
            super.init(clock: clock, waker: waker)
            try watchInternally(waker.descriptor, WakerSource(waker))
        } catch let error as Errno {
            throw IOError(error, operation: "make an event loop")
        }
    }

    /// `epoll` for an `EpollSelector`, and so on; the type's name for a selector of the user's.
    open override var backendName: String {
        let name = "\(type(of: selector))"
        return name.hasSuffix("Selector") ? String(name.dropLast("Selector".count)).lowercased() : name
    }

    package override func wait(timeoutNanoseconds: Int64?) throws(Errno) {
        try selector.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
    }

    package override func queueEvents() {
        for event in events {
            // A stale name: the source was closed, and its descriptor may belong to another one by now.
            guard let source = core.pointee.sources[SlotName(bits: event.token)]?.pointee else { continue }
            source.readiness.formUnion(event.readiness)
            queue(source)
        }
        events.removeAll(keepingCapacity: true)
    }

    package override func watchReadable(_ descriptor: FileDescriptor, _ source: EventSource) throws(Errno) {
        try watch(descriptor, source, for: .read, .level)
    }

    /// Watches a descriptor for a registered source.
    package final func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Readiness, _ trigger: Trigger
    ) throws(Errno) {
        guard let name = source.name else { throw .invalidArgument }
        try selector.register(descriptor, interest: interest, trigger: trigger, token: name.bits)
        users[descriptor.rawValue] = source
    }

    package final func rewatch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Readiness
    ) throws(Errno) {
        guard let name = source.name else { throw .invalidArgument }
        try selector.modify(descriptor, interest: interest, trigger: .level, token: name.bits)
    }

    /// Before the descriptor is closed: see `EpollSelector`.
    package override func unwatch(_ descriptor: FileDescriptor, _ source: EventSource) {
        guard users[descriptor.rawValue] === source else { return }
        users[descriptor.rawValue] = nil
        // It fails only if the kernel has forgotten the descriptor already.
        try? selector.unregister(descriptor)
    }

    package override func makeStreamDriver(_ socket: Socket) throws(Errno) -> StreamDriver {
        let driver = ReadinessStreamDriver(loop: self, socket: socket)
        do {
            try driver.startWatching()
        } catch {
            driver.closeSocket()
            throw error
        }
        return driver
    }

    package override func closePoller() {
        users = [:]
        selector.close()
    }
}
