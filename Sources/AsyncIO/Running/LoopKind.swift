/// A kind of event loop, named after its back end. More kinds may be added.
public struct LoopKind: Sendable, Hashable, CaseIterable, RawRepresentable, CustomStringConvertible {
    /// The name on the command line, such as `io_uring`.
    public let rawValue: String

    private init(_ name: String) { rawValue = name }

    /// The kind with this name; `nil` if this version knows none.
    public init?(rawValue: String) {
        guard let kind = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = kind
    }

    /// The kind that the environment variable `ASYNCIO_LOOP` names. Without it, the best readiness-based kind that
    /// works in this process: epoll or kqueue, then poll, then select.
    public static let auto = LoopKind("auto")
    /// Completion by io_uring(7), of Linux 6.1 and newer. ``auto`` does not choose it.
    public static let ioUring = LoopKind("io_uring")
    /// Readiness by epoll(7), of Linux.
    public static let epoll = LoopKind("epoll")
    /// Readiness by kqueue(2), of macOS and the BSDs.
    public static let kqueue = LoopKind("kqueue")
    /// Readiness by poll(2).
    public static let poll = LoopKind("poll")
    /// Readiness by select(2).
    public static let select = LoopKind("select")
    /// Completion by I/O completion ports, of Windows.
    public static let iocp = LoopKind("iocp")

    /// The kinds that this version knows by name: `auto`, then those of each system, best first.
    public static let allCases: [LoopKind] = [.auto, .ioUring, .epoll, .kqueue, .poll, .select, .iocp]

    /// The kinds that work in this process now, best first.
    ///
    /// Each kind of this system is tried, which takes microseconds: a sandbox may forbid one, and without free
    /// descriptors none works. ``support`` says why a kind is missing.
    public static var available: [LoopKind] { ofThisSystem.filter { (try? $0.tryOut()) != nil } }

    /// Creates a loop of this kind.
    ///
    /// Throws `.unsupported`, with the reason, if the system lacks the kind or forbids it, and what the loop's `init`
    /// throws. For ``auto`` also throws `.invalidArgument` if `ASYNCIO_LOOP` is not the name of a kind.
    public func makeLoop(clock: EventLoopClock = .system) throws -> EventLoop {
        try makeLoop(over: makeBackEnd(), clock: clock)
    }

    /// The ``rawValue``.
    public var description: String { rawValue }
}

// The name of the system in messages.
#if os(Linux)
let systemName = "Linux"
#elseif os(macOS)
let systemName = "macOS"
#else
let systemName = "this system"
#endif
