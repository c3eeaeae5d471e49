import SystemPackage

/// Creates the proactor of this system. asyncio: the default of `ProactorEventLoop(proactor=None)`.
public enum DefaultProactor {
    /// Creates an `IOUringProactor` on Linux.
    ///
    /// Throws an ``IOUringUnavailable`` if this process cannot use it, and `ENOTSUP` on a system that has no proactor.
    public static func make() throws -> any BaseProactor {
        guard let best = candidates.first else { throw Errno.notSupported }
        return try best.make()
    }

    /// Creates a proactor, or says why that is impossible.
    package typealias Candidate = @Sendable () throws -> any BaseProactor

    /// The proactors of this system, best first, with the names of their interfaces.
    package static let candidates: [(name: String, make: Candidate)] = {
        var candidates: [(name: String, make: Candidate)] = []
        #if os(Linux)
        candidates.append(("io_uring", { try IOUringProactor() }))
        #endif
        return candidates
    }()
}
