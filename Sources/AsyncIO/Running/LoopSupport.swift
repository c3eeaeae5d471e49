import AsyncIOSystem

/// What one kind of loop can do for a program on this system: a row of the table that `aio loops` prints.
public struct LoopSupport: Sendable, Hashable {
    /// How a loop learns of input and output.
    public enum Family: String, Sendable, Hashable {
        /// It is told that a call would not block, and calls: a `SelectorEventLoop`.
        case readiness
        /// It hands the call to the system and is told when it is done: a `ProactorEventLoop`.
        case completion
    }

    public var kind: LoopKind
    public var family: Family
    /// Whether ``LoopKind/makeLoop(clock:fileID:line:)`` makes one, here and now.
    public var isAvailable: Bool
    /// Whether `LoopKind.auto` is this one.
    public var isDefault: Bool
    /// Why it is available or not, in a few words.
    public var reason: String

    public init(kind: LoopKind, family: Family, isAvailable: Bool, isDefault: Bool, reason: String) {
        self.kind = kind
        self.family = family
        self.isAvailable = isAvailable
        self.isDefault = isDefault
        self.reason = reason
    }
}

extension LoopKind {
    /// Every kind that this library knows, but for `auto`. Each that the system may have is tried, so a sandbox's refusals
    /// show; that takes microseconds.
    public static var support: [LoopSupport] {
        support { kind in
            let loop = try kind.makeLoop()
            try loop.wait(timeoutNanoseconds: 0)
            try loop.close()
        }
    }

    /// `attempt` makes a loop and waits with it, or throws why it cannot.
    static func support(attempt: (LoopKind) throws -> Void) -> [LoopSupport] {
        var refusals: [LoopKind: any Error] = [:]
        for kind in available {
            do { try attempt(kind) } catch { refusals[kind] = error }
        }
        let best = available.first { refusals[$0] == nil }
        return allCases.filter { $0 != .auto }.map { kind in
            let isAvailable = available.contains(kind) && refusals[kind] == nil
            return LoopSupport(
                kind: kind, family: kind.family, isAvailable: isAvailable, isDefault: kind == best,
                reason: kind == best
                    ? "the best that works here"
                    : isAvailable ? "works here" : refusals[kind].map { "refused: \($0)" } ?? kind.absence)
        }
    }

    private var family: LoopSupport.Family {
        switch self {
        case .auto, .epoll, .poll, .select, .kqueue: .readiness
        case .ioUring, .iocp: .completion
        }
    }

    /// Why this version has no such loop here.
    private var absence: String {
        #if os(Linux)
        let system = "Linux"
        #elseif os(macOS)
        let system = "macOS"
        #else
        let system = "this system"
        #endif
        return switch self {
        case .epoll: "not on \(system): a call of Linux"
        case .kqueue: "not on \(system): a call of macOS and the BSDs"
        #if os(Linux)
        case .ioUring: "comes with a later version"
        #else
        case .ioUring: "not on \(system): a call of Linux"
        #endif
        case .iocp: "not on \(system): a call of Windows"
        case .auto, .poll, .select: "not on \(system)"
        }
    }
}

extension LoopSupport: CustomStringConvertible {
    /// Such as `epoll (readiness): the best that works here`.
    public var description: String { "\(kind.rawValue) (\(family)): \(reason)" }
}
