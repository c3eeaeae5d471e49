import AsyncIOSystem

/// Whether this system supports one kind of loop: a row of the table that `aio loops` prints.
public struct LoopSupport: Sendable, Hashable, CustomStringConvertible {
    /// The kind of loop.
    public var kind: LoopKind
    /// Whether loops of this kind wait for completion (`ProactorEventLoop`), not for readiness (`SelectorEventLoop`).
    public var isCompletionBased: Bool
    /// Whether ``LoopKind/makeLoop(clock:)`` can create such a loop in this process.
    public var isAvailable: Bool
    /// Whether `LoopKind.auto` chooses this kind.
    public var isDefault: Bool
    /// Why the kind is available or not, in a few words.
    public var reason: String

    /// Such as `epoll (readiness): the best that works here`.
    public var description: String { "\(kind.rawValue) (\(isCompletionBased ? "completion" : "readiness")): \(reason)" }
}

extension LoopKind {
    /// All kinds that this library knows, except `auto`. Each kind that the system may have is tried, which takes
    /// microseconds, so the result reflects what a sandbox forbids.
    public static var support: [LoopSupport] {
        support { kind in
            let loop = try kind.makeLoop()
            try loop.wait(timeoutNanoseconds: 0)
            try loop.close()
        }
    }

    /// `attempt` creates a loop of the kind and waits with it, or throws if that is impossible.
    static func support(attempt: (LoopKind) throws -> Void) -> [LoopSupport] {
        var refusals: [LoopKind: any Error] = [:]
        for kind in available {
            do { try attempt(kind) } catch { refusals[kind] = error }
        }
        let best = available.first { refusals[$0] == nil }
        return allCases.filter { $0 != .auto }.map { kind in
            let isAvailable = available.contains(kind) && refusals[kind] == nil
            return LoopSupport(
                kind: kind, isCompletionBased: kind == .ioUring || kind == .iocp, isAvailable: isAvailable,
                isDefault: kind == best,
                reason: kind == best
                    ? "the best that works here"
                    : isAvailable ? "works here" : refusals[kind].map { "refused: \($0)" } ?? kind.absence)
        }
    }

    private var absence: String {
        switch self {
        case .ioUring where systemName == "Linux": "planned"
        case .epoll, .ioUring: "not on \(systemName): a system call of Linux"
        case .kqueue: "not on \(systemName): a system call of macOS and the BSDs"
        case .iocp: "not on \(systemName): an interface of Windows"
        default: "not on \(systemName)"
        }
    }
}
