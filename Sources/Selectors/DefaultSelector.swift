import AsyncIOSystem
public import SystemPackage

/// Creates the best selector that this system supports. Python: `selectors.DefaultSelector`.
public enum DefaultSelector {
    /// Creates the first of epoll or kqueue, poll, and select that works.
    ///
    /// Each is tried with a wait that does not block, because a sandbox may forbid its system calls. Throws the error
    /// of the first one if none works, and at once an error that has another cause, such as `EMFILE`.
    public static func make() throws(Errno) -> any KeyedSelector {
        try make(from: candidates.map { $0.make })
    }

    /// Creates a selector, or throws an `Errno`. Not a typed one, because Swift 6.3 crashes on closures that throw it
    /// and return a selector.
    package typealias Candidate = @Sendable () throws -> any KeyedSelector

    /// The selectors of this system, best first, with the names of their system calls.
    package static let candidates: [(name: String, make: Candidate)] = {
        var candidates: [(name: String, make: Candidate)] = []
        #if os(Linux)
        candidates.append(("epoll", { try EpollSelector() }))
        #elseif os(macOS) || os(FreeBSD) || os(OpenBSD)
        candidates.append(("kqueue", { try KqueueSelector() }))
        #endif
        candidates.append(("poll", { PollSelector() }))
        candidates.append(("select", { SelectSelector() }))
        return candidates
    }()

    /// Creates the first selector whose creation and first wait succeed.
    package static func make(from candidates: [Candidate]) throws(Errno) -> any KeyedSelector {
        var refusal: Errno?
        for candidate in candidates {
            do {
                let selector = try candidate()
                var events: [ReadyEvent] = []
                try selector.wait(timeoutNanoseconds: 0, into: &events)
                return selector
            } catch {
                let error = error as? Errno ?? .notSupported
                // A temporary failure, such as too many open files, is no reason to use a slower selector.
                guard isRefusal(error) else { throw error }
                refusal = refusal ?? error
            }
        }
        throw refusal ?? .notSupported
    }

    /// Returns whether `error` means that the system lacks the call or forbids it.
    package static func isRefusal(_ error: Errno) -> Bool {
        switch error {
        case .noFunction, .notPermitted, .permissionDenied, .invalidArgument, .notSupported,
            .notSupportedOnSocket:
            true
        default: false
        }
    }
}
