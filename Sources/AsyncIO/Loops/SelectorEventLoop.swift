package import AsyncIOSystem
public import Selectors
package import SystemPackage

/// An event loop over readiness: it asks a selector which descriptors would not block, and calls the kernel itself.
/// asyncio: `SelectorEventLoop`.
open class SelectorEventLoop: EventLoop, @unchecked Sendable {
    private let selector: any BaseSelector
    /// Whether connections are watched edge-triggered.
    package final let isEdgeTriggered: Bool
    /// Emptied at each wait; kept, so that a tick allocates nothing.
    @exclusivity(unchecked) private var events: [ReadyEvent] = []

    /// Makes a loop over `selector`, or over the best selector of this system. It belongs to the calling thread, until
    /// the first run binds it to the thread that runs it.
    ///
    /// The selector is the loop's from then on. Throws an `IOError` if the system lets no selector or waker be made,
    /// `.tooManyDescriptors` if the number of a descriptor that the loop needs for itself is too high for the selector.
    public init(
        selector: (any BaseSelector)? = nil, clock: EventLoopClock = .system,
        fileID: StaticString = #fileID, line: UInt = #line
    ) throws {
        self.selector = try selector ?? EventLoop.makeSelector()
        isEdgeTriggered = self.selector.supportsEdgeTrigger
        // Otherwise it would grow whenever more events than ever before come at once.
        events.reserveCapacity(Self.reservedEvents)
        let waker = try EventLoop.makeWaker()
        super.init(clock: clock, waker: waker)
        try watchInternals(waker)
        origin = CallSite(fileID: fileID, line: line)
        self.selector.closedDescriptorHandler = { [unowned self] descriptor in
            // In the middle of a wait; the handler of warnings is the user's.
            callSoon { [unowned self] in warnOfClosedDescriptor(descriptor) }
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
            // SAFETY: not retained. Nothing is unregistered here.
            guard let source = core.pointee.sources.unretained(SlotID(bits: event.token)) else { continue }
            source._withUnsafeGuaranteedRef { source in
                source.readiness.formUnion(event.readiness)
                queue(source)
            }
        }
        events.removeAll(keepingCapacity: true)
    }

    package override func watchReadable(_ descriptor: FileDescriptor, _ source: EventSource) throws(Errno) {
        try watch(descriptor, source, for: .read, .level)
    }

    /// Watches a descriptor for a registered source.
    package final func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        guard let id = source.id else { throw .invalidArgument }
        pushWatcher(from: descriptor, for: source)
        try selector.register(descriptor, interest: interest, trigger: trigger, token: id.bits)
        core.pointee.descriptors[descriptor.rawValue] = source
    }

    /// Makes the descriptor a source's that does not watch it yet, or for a while.
    package final func claim(_ descriptor: FileDescriptor, for source: EventSource) {
        pushWatcher(from: descriptor, for: source)
        core.pointee.descriptors[descriptor.rawValue] = source
    }

    /// A transport takes the descriptor over from watchers, as in asyncio; mostly from those that it was closed under.
    private final func pushWatcher(from descriptor: FileDescriptor, for source: EventSource) {
        if let former = core.pointee.descriptors[descriptor.rawValue], former !== source { former.lostDescriptor() }
    }

    package override var watchesDescriptors: Bool { true }

    package override func isStale(_ descriptor: FileDescriptor) -> Bool { selector.isStale(descriptor) }

    package override func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Interest
    ) throws(Errno) {
        try watch(descriptor, source, for: interest, .level)
    }

    package override func rewatch(
        _ descriptor: FileDescriptor, _ source: EventSource, from former: Interest, to interest: Interest,
        _ trigger: Trigger
    ) throws(Errno) {
        guard let id = source.id else { throw .invalidArgument }
        if interest.isEmpty {
            try selector.unregister(descriptor)
        } else if former.isEmpty {
            try selector.register(descriptor, interest: interest, trigger: trigger, token: id.bits)
        } else {
            try selector.modify(descriptor, interest: interest, trigger: trigger, token: id.bits)
        }
    }

    package override var descriptorLimit: Int? { selector.descriptorLimit }

    /// Before the descriptor is closed: see `EpollSelector`.
    package override func unwatch(_ descriptor: FileDescriptor, _ source: EventSource) {
        guard core.pointee.descriptors[descriptor.rawValue] === source else { return }
        core.pointee.descriptors[descriptor.rawValue] = nil
        // It fails only if it is not registered: its interest was empty, or the kernel has forgotten it already.
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
        core.pointee.descriptors.removeUsers()
        selector.close()
    }
}

extension EventLoop {
    /// The best selector of this system.
    fileprivate static func makeSelector() throws -> any BaseSelector {
        do {
            return try DefaultSelector.make()
        } catch {
            throw IOError(error, operation: "create the selector of an event loop")
        }
    }
}
