public import SystemPackage

/// The result of a non-blocking transfer. Would-block is an ordinary value, not an error.
@frozen
public enum IOResult: Sendable, Equatable {
    /// So many bytes were moved. A receive of none is the end of the stream.
    case bytes(Int)
    /// Nothing can be moved now.
    case wouldBlock
    case failed(Errno)

    /// Reads a C result: a count, or a negated `errno`.
    package init(cResult: Int) {
        if cResult >= 0 {
            self = .bytes(cResult)
        } else {
            let error = Errno(rawValue: CInt(-cResult))
            self = error == .resourceTemporarilyUnavailable || error == .wouldBlock ? .wouldBlock : .failed(error)
        }
    }
}

/// Turns a C result (a value, or a negated `errno`) into a value or an error.
func valueOrErrno(_ result: CInt) throws(Errno) -> CInt {
    if result < 0 { throw Errno(rawValue: -result) }
    return result
}
