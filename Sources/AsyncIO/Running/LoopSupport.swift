import AsyncIOSystem

/// Whether this system supports one kind of loop: a row of the table that `aio loops` prints.
public struct LoopSupport: Sendable, Hashable, CustomStringConvertible {
    /// The kind of loop.
    public var kind: LoopKind
    /// Whether loops of this kind wait for completion (`ProactorEventLoop`), not for readiness (`SelectorEventLoop`).
    public var isCompletionBased: Bool
    /// Whether ``LoopKind/makeLoop(clock:)`` can create such a loop in this process.
    public var isAvailable: Bool
    /// Whether `LoopKind.auto` chooses this kind. If it chooses none, `LoopKind.auto.makeLoop()` throws the reason.
    public var isDefault: Bool
    /// Why the kind is available or not: a sentence without a full stop.
    public var reason: String

    /// Such as `epoll (readiness): works here; auto chooses it`.
    public var description: String { "\(kind.rawValue) (\(isCompletionBased ? "completion" : "readiness")): \(reason)" }
}

extension LoopKind {
    /// All kinds that this library knows, except `auto`. Each kind that the system may have is tried, which takes
    /// microseconds, so the result reflects what a sandbox forbids.
    public static var support: [LoopSupport] { support(environment) { kind in try kind.tryOut() } }

    /// - Parameters:
    ///   - environment: The value of `ASYNCIO_LOOP`.
    ///   - attempt: Creates a loop of the kind and waits with it, or throws if that is impossible.
    static func support(_ environment: String?, attempt: (LoopKind) throws -> Void) -> [LoopSupport] {
        var refusals: [LoopKind: String] = [:]
        for kind in ofThisSystem {
            do {
                try attempt(kind)
            } catch {
                refusals[kind] = "refused: \(BackEndFailure(error, of: kind.rawValue)?.reason ?? "\(error)")"
            }
        }
        // Nothing is chosen if the variable is wrong.
        let chosen = try? makeDefault(environment) { kind throws(EventLoopError) in
            if refusals[kind] != nil || !ofThisSystem.contains(kind) { throw EventLoopError(.unsupported, "") }
            return kind
        }
        return allCases.filter { $0 != .auto }.map { kind in
            let isAvailable = ofThisSystem.contains(kind) && refusals[kind] == nil
            return LoopSupport(
                kind: kind, isCompletionBased: kind == .ioUring || kind == .iocp, isAvailable: isAvailable,
                isDefault: kind == chosen,
                reason: isAvailable
                    ? "works here" + kind.note(isChosen: kind == chosen, environment)
                    : refusals[kind] ?? kind.absence)
        }
    }

    private func note(isChosen: Bool, _ environment: String?) -> String {
        if isChosen { return environment == rawValue ? "; ASYNCIO_LOOP chooses it" : "; auto chooses it" }
        return Self.chosenByNameOnly.contains(self) ? "; it is chosen by name only" : ""
    }

    private var absence: String {
        switch self {
        case .epoll, .ioUring: "not on \(systemName): a system call of Linux"
        case .kqueue: "not on \(systemName): a system call of macOS and the BSDs"
        case .iocp: "not on \(systemName): an interface of Windows"
        default: "not on \(systemName)"
        }
    }
}
