import AsyncIOSystem
import Proactors
import Selectors
import SystemPackage

/// Why the back end of a loop cannot be created.
struct BackEndFailure {
    private let name: String
    private let part: String
    private let errno: Errno
    /// A sentence without a full stop.
    let reason: String

    /// `nil` for an error that is not one of a back end.
    ///
    /// - Parameter name: The name of the kind of loop, such as `epoll`.
    init?(_ error: any Error, of name: String) {
        self.name = name
        switch error {
        case let error as IOUringUnavailable: (part, errno, reason) = ("proactor", error.errno, error.description)
        case let error as Errno: (part, errno, reason) = ("selector", error, "\(name) failed: \(error)")
        default: return nil
        }
    }

    /// `.unsupported` if the system lacks the back end or forbids it; an `IOError` if the next attempt may succeed.
    var error: any Error {
        if DefaultSelector.isRefusal(errno) {
            return EventLoopError(.unsupported, "the event loop '\(name)' is not available: \(reason)")
        }
        let limit = part == "proactor" && errno == .noMemory ? ", whose memory may count towards RLIMIT_MEMLOCK" : ""
        return IOError(errno, operation: "create the \(part) of an event loop\(limit)")
    }
}
