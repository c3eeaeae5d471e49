import Selectors

/// A kind of event loop, by the name of its back end.
public enum LoopKind: String, Sendable, CaseIterable {
    /// The best one that this system allows.
    case auto
    case epoll, poll, select, kqueue
    case ioUring = "io_uring"
    case iocp

    /// The kinds that this system and this version have, best first.
    public static var available: [LoopKind] {
        #if os(Linux)
        [.epoll]
        #else
        []
        #endif
    }

    /// Makes a loop of this kind. Throws `.unsupported` where the system lacks it, or what the loop's `init` throws.
    public func makeLoop(clock: EventLoopClock = .system) throws -> EventLoop {
        switch self {
        case .auto: return try SelectorEventLoop(clock: clock)
        #if os(Linux)
        case .epoll: return try SelectorEventLoop(selector: EpollSelector(), clock: clock)
        #endif
        default: throw EventLoopError.unsupported(feature: "the event loop '\(rawValue)'", platform: Self.platformName)
        }
    }

    private static var platformName: String {
        #if os(Linux)
        "this version of swift-asyncio on Linux"
        #else
        "this version of swift-asyncio on this system"
        #endif
    }
}
