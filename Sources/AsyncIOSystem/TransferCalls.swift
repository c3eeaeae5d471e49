package import CAsyncIO
package import SystemPackage

/// The system calls that move the bytes of a descriptor, and what their results mean.
package struct TransferCalls: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// recv(2) and send(2).
    package static let socket: TransferCalls = []
    /// read(2) and write(2).
    package static let file = TransferCalls(rawValue: 1)
    /// The open file is blocking, and stays so, because other processes may share it.
    package static let blocking = TransferCalls(rawValue: 2)
    /// EIO means that the other side was closed.
    package static let terminal = TransferCalls(rawValue: 4)
    /// The open file was made non-blocking, which is undone when the descriptor is closed.
    package static let restoresBlocking = TransferCalls(rawValue: 8)
    /// recv(2) and send(2) on a unix socket, where a receive stops behind a message that has descriptors.
    package static let unixSocket = TransferCalls(rawValue: 16)

    /// Those of a socket of `family`.
    package static func socket(_ family: SocketAddress.Family?) -> TransferCalls {
        family == .unix ? .unixSocket : .socket
    }

    /// A pipe that reports room takes so many bytes without waiting: PIPE_BUF.
    private static let mostBytesOfPipe = 4096
    /// A terminal reports room from one byte on, but only what fills its buffer of 64 KiB finds less than this.
    private static let mostBytesOfTerminal = 64

    /// Reads bytes into `buffer`. Zero bytes mean EOF. read(2).
    package func read(_ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard let base = buffer.baseAddress else { return .bytes(0) }
        let count =
            contains(.blocking)
            ? aio_read_at_once(descriptor.rawValue, base, buffer.count)
            : aio_read(descriptor.rawValue, base, buffer.count)
        let result = IOResult(cResult: count)
        return contains(.terminal) && result == .failed(.ioError) ? .bytes(0) : result
    }

    /// Writes as many of the bytes as the kernel accepts now. Raises no SIGPIPE. writev(2).
    package func write(_ descriptor: FileDescriptor, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        guard let base = pieces.baseAddress, let first = base.pointee.iov_base else { return .bytes(0) }
        let count: Int
        if contains(.blocking) {
            let most = contains(.terminal) ? Self.mostBytesOfTerminal : Self.mostBytesOfPipe
            count = aio_write_at_once(descriptor.rawValue, first, base.pointee.iov_len, most)
        } else {
            count = aio_write_vector(descriptor.rawValue, base, CInt(pieces.count))
        }
        let result = IOResult(cResult: count)
        return contains(.terminal) && result == .failed(.ioError) ? .failed(.brokenPipe) : result
    }
}

extension TransferCalls {
    /// Chooses the calls for the descriptor of a pipe, a socket or a character device, which the caller owns, and makes
    /// it close-on-exec.
    ///
    /// The open file does not become non-blocking, except a controlling side of a pseudo-terminal, because other
    /// processes may share it: the number gets an open file of its own if the system can open the file again.
    package init(owning descriptor: FileDescriptor, _ kind: FileKind) throws(Errno) {
        let number = descriptor.rawValue
        _ = try valueOrErrno(aio_set_close_on_exec(number))
        if kind == .socket {
            self = .socket
        } else if try valueOrErrno(aio_is_non_blocking(number)) != 0 {
            self = .file
        } else if kind == .terminalController {
            _ = try valueOrErrno(aio_set_non_blocking(number, 1))
            self = [.file, .restoresBlocking]
        } else if let again = kind.reopen(descriptor) {
            _ = try valueOrErrno(aio_replace(number, again.rawValue))
            self = .file
        } else {
            self = [.file, .blocking]
        }
        if kind.isTerminal { insert(.terminal) }
    }

    /// Returns a descriptor of the same file, for a descriptor that stays with its owners, and chooses its calls.
    package static func sharing(
        _ descriptor: FileDescriptor, _ kind: FileKind
    ) throws(Errno) -> (descriptor: FileDescriptor, calls: TransferCalls) {
        var calls: TransferCalls = kind.isTerminal ? [.file, .terminal] : .file
        if let again = kind.reopen(descriptor) { return (again, calls) }
        let duplicate = FileDescriptor(rawValue: try valueOrErrno(aio_duplicate(descriptor.rawValue)))
        // A regular file never waits for somebody else. Those who share a file can change whether it is non-blocking.
        if kind != .regular { calls.insert(.blocking) }
        return (duplicate, kind == .socket ? .socket : calls)
    }
}

/// What a descriptor refers to. fstat(2).
package enum FileKind: Sendable {
    /// A pipe or a FIFO.
    case pipe
    case socket
    case terminal
    /// The controlling side of a pseudo-terminal.
    case terminalController
    /// Another character device, such as `/dev/null`.
    case device
    case regular
    /// A directory, a block device, or a file of the kernel without a name.
    case other

    package init(of descriptor: FileDescriptor) throws(Errno) {
        self =
            switch try valueOrErrno(aio_file_kind(descriptor.rawValue)) {
            case AIO_FILE_PIPE: .pipe
            case AIO_FILE_SOCKET: .socket
            case AIO_FILE_TERMINAL: .terminal
            case AIO_FILE_TERMINAL_CONTROLLER: .terminalController
            case AIO_FILE_DEVICE: .device
            case AIO_FILE_REGULAR: .regular
            default: .other
            }
    }

    package var isTerminal: Bool { self == .terminal || self == .terminalController }

    /// Returns a descriptor of an open file of its own, which is non-blocking, if the system can open the file again.
    func reopen(_ descriptor: FileDescriptor) -> FileDescriptor? {
        // Other devices may be new at every open.
        guard self == .pipe || self == .terminal else { return nil }
        let again = aio_reopen(descriptor.rawValue)
        return again < 0 ? nil : FileDescriptor(rawValue: again)
    }
}
