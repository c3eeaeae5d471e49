package import AsyncIOSystem
public import Selectors
package import SystemPackage

/// An event loop over readiness: it makes system calls when a selector reports that they would not block. asyncio:
/// `SelectorEventLoop`.
open class SelectorEventLoop: EventLoop, @unchecked Sendable {
    private let selector: any BaseSelector
    package final let isEdgeTriggered: Bool
    /// Reused by each wait, so that an iteration allocates nothing.
    @exclusivity(unchecked) private var events: [ReadyEvent] = []

    /// Creates a loop, which owns `selector`, by default the best one of this system.
    ///
    /// Throws an `IOError` if the system cannot create a selector or a waker, and `.tooManyDescriptors` if the number
    /// of a descriptor that the loop needs for itself is too high for the selector.
    public init(
        selector: (any BaseSelector)? = nil, clock: EventLoopClock = .system
    ) throws {
        do {
            self.selector = if let selector { selector } else { try DefaultSelector.make() }
        } catch {
            throw IOError(error, operation: "create the selector of an event loop")
        }
        isEdgeTriggered = self.selector.supportsEdgeTrigger
        // Otherwise the array would grow whenever an iteration has more events than any before.
        events.reserveCapacity(Self.reservedEvents)
        try super.init(clock: clock)
        self.selector.closedDescriptorHandler = { [unowned self] descriptor in
            // Later, because this is in the middle of a wait, and the handler of warnings is the user's code.
            callSoon { [unowned self] in warnOfClosedDescriptor(descriptor) }
        }
    }

    /// `epoll` for an `EpollSelector`, and so on; the type's name for a selector of the program.
    open override var backendName: String {
        let name = "\(type(of: selector))"
        return name.hasSuffix("Selector") ? String(name.dropLast("Selector".count)).lowercased() : name
    }

    package override func wait(timeoutNanoseconds: Int64?) throws(Errno) {
        try selector.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
    }

    package override func queueEvents() {
        for event in events {
            // A stale id finds no source: its descriptor may belong to another one by now.
            // SAFETY: the source is not retained. None is unregistered in this loop.
            guard let source = core.pointee.sources.unretained(SlotID(bits: event.token)) else { continue }
            source._withUnsafeGuaranteedRef { source in
                source.readiness.formUnion(event.readiness)
                queue(source)
            }
        }
        events.removeAll(keepingCapacity: true)
    }

    package override func watch(
        _ descriptor: FileDescriptor, _ source: EventSource, for interest: Interest, _ trigger: Trigger
    ) throws(Errno) {
        guard let id = source.id else { throw .invalidArgument }
        let wasUser = core.pointee.descriptors[descriptor.rawValue] === source
        let former = take(descriptor, for: source)
        do {
            if former.isEmpty {
                try selector.register(descriptor, interest: interest, trigger: trigger, token: id.bits)
            } else {
                try takeOver(descriptor, for: interest, trigger, token: id.bits)
            }
        } catch {
            if !wasUser { core.pointee.descriptors[descriptor.rawValue] = nil }
            throw error
        }
    }

    /// Changes the former user's registration, unless the descriptor was closed without notice. Saves a system call.
    private final func takeOver(
        _ descriptor: FileDescriptor, for interest: Interest, _ trigger: Trigger, token: UInt64
    ) throws(Errno) {
        do {
            try selector.modify(descriptor, interest: interest, trigger: trigger, token: token)
        } catch {
            try? selector.unregister(descriptor)
            try selector.register(descriptor, interest: interest, trigger: trigger, token: token)
        }
    }

    package override func endRegistration(of descriptor: FileDescriptor) {
        // Fails only if the interest was empty or the kernel has already removed the registration.
        try? selector.unregister(descriptor)
    }

    package override func isStale(_ descriptor: FileDescriptor) -> Bool { selector.isStale(descriptor) }

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

    override func beginConnecting(
        _ socket: Socket, to address: SocketAddress, _ record: TaskRecord?, willSuspend: (EventSource) -> Void
    ) async throws -> Bool {
        do throws(Errno) {
            return try core.connect(socket, to: address)
        } catch .alreadyInProcess {
            // An earlier call that was cancelled has begun the attempt.
            return false
        }
    }

    package override func makeAcceptDriver(_ socket: Socket, clientsPerIteration: Int) -> AcceptDriver {
        ReadinessAcceptDriver(socket, on: self, clientsPerIteration: clientsPerIteration)
    }

    package override func makeStreamDriver(_ channel: ByteChannel) throws(Errno) -> StreamDriver {
        // An edge-triggered selector would not report the bytes behind a receive that stopped early.
        let trigger: Trigger = isEdgeTriggered && channel.emptiesByShortReceive ? .edge : .level
        return try ReadinessStreamDriver(channel, on: self, trigger: trigger)
    }

    package override func makeDatagramDriver(
        _ socket: Socket, family: SocketAddress.Family?, isConnected: Bool
    ) throws(Errno) -> DatagramDriver {
        try ReadinessDatagramDriver(
            socket, family: family, isConnected: isConnected, on: self, trigger: isEdgeTriggered ? .edge : .level)
    }

    package override func closePoller() { selector.close() }
}
