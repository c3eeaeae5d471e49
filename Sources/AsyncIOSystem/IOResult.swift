public import SystemPackage

/// The result of a non-blocking transfer. Would-block is a value, not an error.
@frozen
public enum IOResult: Sendable, Equatable {
    /// The number of bytes that were moved. A receive of zero bytes means EOF.
    case bytes(Int)
    /// No bytes can be moved now.
    case wouldBlock
    case failed(Errno)

    /// Creates a result from a C result: a count, or a negated `errno`.
    package init(cResult: Int) {
        if cResult >= 0 {
            self = .bytes(cResult)
        } else {
            let error = Errno(rawValue: CInt(-cResult))
            self = error == .resourceTemporarilyUnavailable || error == .wouldBlock ? .wouldBlock : .failed(error)
        }
    }
}

/// Returns the value of a C result, or throws the error if it is a negated `errno`.
func valueOrErrno(_ result: CInt) throws(Errno) -> CInt {
    if result < 0 { throw Errno(rawValue: -result) }
    return result
}
