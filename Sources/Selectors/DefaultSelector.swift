import AsyncIOSystem
public import SystemPackage

/// The best selector that this system allows. Python: `selectors.DefaultSelector`.
public enum DefaultSelector {
    /// Makes one, or throws the reason why the best one known cannot be had.
    ///
    /// Each is tried with a wait of no time, since a sandbox may forbid its system calls: epoll or kqueue, then poll, then
    /// select.
    public static func make() throws(Errno) -> any KeyedSelector {
        try make(from: candidates)
    }

    /// Throws an `Errno`. Not a typed one: Swift 6.3 crashes on closures that throw it and return a selector.
    package typealias Candidate = () throws -> any KeyedSelector

    /// Best first.
    package static var candidates: [Candidate] {
        let everywhere: [Candidate] = [{ PollSelector() }, { SelectSelector() }]
        #if os(Linux)
        return [{ try EpollSelector() }] + everywhere
        #elseif os(macOS) || os(FreeBSD) || os(OpenBSD)
        return [{ try KqueueSelector() }] + everywhere
        #else
        return everywhere
        #endif
    }

    /// The first that can be made and waits.
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
                // What passes, such as a lack of descriptors, is no reason for a slower one.
                guard isRefusal(error) else { throw error }
                refusal = refusal ?? error
            }
        }
        throw refusal ?? .notSupported
    }

    /// Whether the system has no such call, or forbids it.
    package static func isRefusal(_ error: Errno) -> Bool {
        switch error {
        case .noFunction, .notPermitted, .permissionDenied, .invalidArgument, .notSupported,
            .notSupportedOnSocket:
            true
        default: false
        }
    }
}
