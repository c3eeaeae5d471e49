import AsyncIOSystem
public import SystemPackage

extension EventLoop {
    /// Connects a protocol to the end of a pipe that it reads from. asyncio: `connect_read_pipe`.
    ///
    /// ```swift
    /// let (transport, _) = try await loop.connectReadPipe(descriptor) { Lines() }
    /// ```
    ///
    /// `descriptor` refers to a pipe, a FIFO, a stream socket, a terminal, or another character device. After the last
    /// byte, the protocol gets `eofReceived`, whose result is ignored, and `connectionLost(nil)`. Writing is not
    /// possible. The end of a pseudo-terminal, EIO, is an EOF too. A FIFO that was opened with O_NONBLOCK waits for its
    /// first writer; to get no EOF when a writer leaves, open it for both directions.
    ///
    /// The descriptor belongs to this call, like the socket of ``Endpoint/socket(_:)``: the transport or a call that
    /// throws closes it. It need not be non-blocking. The call does not set O_NONBLOCK on an open file that another
    /// process may share, such as the shell's terminal, where it could harm that process. Instead it opens the file
    /// again, under the same number, or asks poll(2) before each read. Only the controlling side of a pseudo-terminal
    /// becomes non-blocking until it is closed.
    ///
    /// Throws `.invalidArgument` for anything else, such as a regular file, and for a descriptor that is not open for
    /// reading; `.descriptorInUse`, and leaves the descriptor open then; an `IOError`, such as `EBADF`; `.closed`; and
    /// what `makeProtocol` throws. A cancelled task gets a `CancellationError`.
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`, because it calls `makeProtocol` on the loop's thread.
    public final func connectReadPipe<Protocol: StreamProtocol>(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        try await connectPipe(
            descriptor, for: .read, CallSite(fileID: fileID, line: line), "connectReadPipe", makeProtocol)
    }

    /// Connects a protocol to the end of a pipe that it writes to. asyncio: `connect_write_pipe`.
    ///
    /// When nobody reads from the pipe any more, the protocol gets `connectionLost`: with an `IOError` (EPIPE) if there
    /// are bytes that were not sent, otherwise with `nil`. No SIGPIPE is raised. This is noticed at once, except on a
    /// terminal or another device, where the next write finds out. `writeEOF()` is the same as `close()`, which waits
    /// for the reader without a bound. A write to a terminal whose other side was closed fails with EPIPE.
    ///
    /// Everything else is as in ``connectReadPipe(_:fileID:line:_:)``.
    public final func connectWritePipe<Protocol: StreamProtocol>(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
        _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        try await connectPipe(
            descriptor, for: .write, CallSite(fileID: fileID, line: line), "connectWritePipe", makeProtocol)
    }

    private final func connectPipe<Protocol: StreamProtocol>(
        _ descriptor: FileDescriptor, for direction: Interest, _ site: CallSite, _ function: StaticString,
        _ makeProtocol: () throws -> Protocol
    ) async throws -> sending (transport: StreamTransport, protocol: Protocol) {
        let owned = Endpoint.socket(Socket(number: descriptor.rawValue))
        try checkOnLoop(function, owning: owned)
        let made = try await withAffinity(owning: owned, function) {
            let driver = try openPipe(descriptor, for: direction)
            return try await attach(driver, nil, for: direction, origin: site, makeProtocol)
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    /// Reads from the end of a pipe, in a task. asyncio has no such call; its users connect a `StreamReaderProtocol`.
    ///
    /// ```swift
    /// let reader = try await loop.openReadPipe(descriptor)
    /// for try await line in reader.lines { print(line) }
    /// ```
    ///
    /// The descriptor is closed at EOF, and when the reader is released. Everything else is as in
    /// ``connectReadPipe(_:fileID:line:_:)``, and `limitBytes` as in ``openConnection(to:options:fileID:line:)``.
    /// - Thread: any.
    public final func openReadPipe(
        _ descriptor: FileDescriptor, limitBytes: Int = defaultLineLimitBytes, fileID: StaticString = #fileID,
        line: UInt = #line
    ) async throws -> sending StreamReader {
        let owned = Endpoint.socket(Socket(number: descriptor.rawValue))
        try checkLineLimit(limitBytes, owning: owned)
        let site = CallSite(fileID: fileID, line: line)
        let made = try await withAffinity(owning: owned, "openReadPipe") {
            let transport = try openPipeTransport(descriptor, for: .read, site)
            return UncheckedSendable(value: StreamReader(transport, limitBytes: limitBytes))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    /// Writes to the end of a pipe, in a task. asyncio has no such call; its users connect a `FlowControlMixin`.
    ///
    /// When nobody reads from the pipe any more, writes and `waitClosed()` throw an `IOError` (EPIPE). Everything else
    /// is as in ``connectWritePipe(_:fileID:line:_:)``.
    /// - Thread: any.
    public final func openWritePipe(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending StreamWriter {
        let owned = Endpoint.socket(Socket(number: descriptor.rawValue))
        let site = CallSite(fileID: fileID, line: line)
        let made = try await withAffinity(owning: owned, "openWritePipe") {
            UncheckedSendable(value: StreamWriter(try openPipeTransport(descriptor, for: .write, site)))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    private final func openPipeTransport(
        _ descriptor: FileDescriptor, for direction: Interest, _ site: CallSite
    ) throws -> StreamTransport {
        StreamTransport(
            loop: self, driver: try openPipe(descriptor, for: direction), consumer: nil, peerAddress: nil,
            directions: direction, origin: ConnectionOrigin(site))
    }
}
