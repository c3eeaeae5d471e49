import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Something that a loop in debug mode has noticed and that is no error. asyncio logs such things as warnings.
public struct LoopWarning: Sendable {
    /// What was noticed. More kinds may come.
    public struct Kind: Sendable, Hashable {
        fileprivate let name: String

        /// A callback, or a step of a task, kept the loop from everything else: see ``EventLoop/slowCallbackDuration``.
        public static let slowCallback = Kind(name: "slow callback")
        /// An operation was begun off its loop, which costs two changes of thread. Told once per operation and loop.
        public static let hop = Kind(name: "hop")
        /// A loop, or something of a loop, was dropped without being closed. asyncio: `ResourceWarning`.
        public static let unclosed = Kind(name: "unclosed")
        /// A descriptor was closed while it was watched, and a duplicate of it is open elsewhere. Reported without debug mode
        /// too, since the loop then had to register all descriptors anew.
        public static let closedDescriptor = Kind(name: "closed descriptor")
        /// A host name took long to resolve.
        public static let slowLookup = Kind(name: "slow lookup")
    }

    public var kind: Kind
    public var message: String
    /// Where the callback was scheduled, or the object made.
    public var callSite: CallSite?
    /// How long it took.
    public var duration: Duration?

    public init(_ kind: Kind, _ message: String, callSite: CallSite? = nil, duration: Duration? = nil) {
        self.kind = kind
        self.message = message
        self.callSite = callSite
        self.duration = duration
    }
}

extension LoopWarning.Kind: CustomStringConvertible {
    /// In words, such as `slow callback`.
    public var description: String { name }
}

extension LoopWarning: CustomStringConvertible {
    public var description: String {
        guard let callSite else { return message }
        return "\(message) (\(kind == .unclosed ? "made" : "scheduled") at \(callSite))"
    }
}

/// Warnings go beside the exception handler, so that nobody counts them as errors.
extension EventLoop {
    /// Takes the warnings of debug mode. `Sendable`: that a loop was dropped is told on whichever thread dropped it.
    public typealias WarningHandler = @Sendable (LoopWarning) -> Void

    /// Replaces the handler of warnings; `nil` restores the default one, which writes a line to standard error. The
    /// loop's thread.
    public final func setWarningHandler(_ handler: WarningHandler?) {
        requireOnLoop("setWarningHandler")
        // What the former one captured may call this again when it is released.
        let former = core.pointee.debug.warningHandler.take()
        core.pointee.debug.warningHandler = handler
        withExtendedLifetime(former) {}
    }

    /// The loop's thread, in debug mode.
    final func warn(_ warning: LoopWarning) {
        if let handler = core.pointee.debug.warningHandler { return handler(warning) }
        var text = "asyncio: warning: \(warning)\n"
        text.withUTF8 { aio_write_error($0.baseAddress!, $0.count) }
    }
}

extension EventLoop {
    /// In debug mode, once per function.
    @inline(never)
    final func warnOfHop(_ function: StaticString) {
        guard core.pointee.debug.reportedHops.insert("\(function)").inserted else { return }
        var who = "a task"
        if let name = core.pointee.runningTasks[.current]?.name {
            who = "task '\(name)'"
        } else if #available(macOS 26, *), let name = Task.name {
            who = "task '\(name)'"
        }
        warn(LoopWarning(.hop, "\(function) was called off its event loop by \(who), which had to hop there and back"))
    }

    @inline(never)
    final func warnOfClosedDescriptor(_ descriptor: FileDescriptor) {
        warn(
            LoopWarning(
                .closedDescriptor,
                "Descriptor \(descriptor.rawValue) was closed while it was watched, and a duplicate of it is open elsewhere; "
                    + "call removeReader and removeWriter, or sockClose, before it is closed"))
    }

    /// In debug mode. asyncio: `_getaddrinfo_debug`.
    final func warnOfLookup(of host: String, since began: LoopInstant) {
        guard core.pointee.debug.isOn else { return }
        let duration = began.duration(to: now)
        guard duration >= core.pointee.debug.slowCallbackDuration else { return }
        warn(
            LoopWarning(.slowLookup, "Resolving '\(host)' took \(duration.inSeconds) seconds", duration: duration))
    }

    /// In debug mode, when the loop is closed: what it still has to free itself.
    final func warnOfOpenSources() {
        for name in core.pointee.sources.names {
            guard let source = core.pointee.sources[name]?.pointee, source.isLeftOpen else { continue }
            warn(
                LoopWarning(
                    .unclosed, "\(source.label) was still open when its event loop was closed",
                    callSite: source.origin))
        }
    }

    /// From `deinit`: nobody else has the loop any more.
    final func warnIfUnclosed() {
        guard core.pointee.debug.isOn, let origin, !isClosed else { return }
        warn(LoopWarning(.unclosed, "an event loop was dropped without close()", callSite: origin))
    }
}
