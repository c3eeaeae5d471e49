import AsyncIOSystem
import CAsyncIO
import SystemPackage

extension EventLoop {
    /// Creates the driver of the end of a pipe, whose descriptor it owns. The task is on its loop.
    final func openPipe(_ descriptor: FileDescriptor, for direction: Interest) throws -> PipeStreamDriver {
        let channel: ByteChannel
        let kind: FileKind
        do {
            if isClosed { throw EventLoopError.closed }
            if let user = core.pointee.descriptors[descriptor.rawValue] {
                throw EventLoopError.descriptorInUse(descriptor, user)
            }
            try Task.checkCancellation()
            try checkRoom(for: descriptor)
            kind = try Self.checkPipe(descriptor, for: direction)
            let calls = try IOError.naming("take over descriptor \(descriptor.rawValue)") {
                try TransferCalls(owning: descriptor, kind)
            }
            channel = ByteChannel(Socket(number: descriptor.rawValue), calls)
        } catch let error as IOError where error.errno == .badFileDescriptor {
            // There is nothing to close, and another thread may be about to get the number.
            throw error
        } catch {
            discard([Socket(number: descriptor.rawValue)])
            throw error
        }
        return try makePipeDriver(channel, for: direction, kind)
    }

    /// Owns the descriptor.
    final func makePipeDriver(
        _ channel: ByteChannel, for direction: Interest, _ kind: FileKind
    ) throws -> PipeStreamDriver {
        try IOError.naming("watch descriptor \(channel.socket.number)") {
            try PipeStreamDriver(
                channel, on: self, for: direction, isDevice: kind != .pipe && kind != .socket)
        }
    }

    /// Throws if the descriptor is none of a pipe, or not for this direction.
    private static func checkPipe(_ descriptor: FileDescriptor, for direction: Interest) throws -> FileKind {
        let kind = try IOError.naming("take over descriptor \(descriptor.rawValue)") { try FileKind(of: descriptor) }
        switch kind {
        case .regular, .other: throw refusal(of: descriptor, "a regular file or a directory")
        case .socket:
            let type = try IOError.naming("take over descriptor \(descriptor.rawValue)") {
                try Socket(number: descriptor.rawValue).option(SocketOption(level: SOL_SOCKET, name: SO_TYPE))
            }
            if type != Int(SOCK_STREAM.rawValue) { throw refusal(of: descriptor, "a socket for datagrams") }
        case .pipe, .terminal, .terminalController, .device: break
        }
        let mode = aio_access_mode(descriptor.rawValue)
        if mode == (direction == .read ? 1 : 0) {
            throw EventLoopError(
                .invalidArgument,
                "descriptor \(descriptor.rawValue) is not open for \(direction == .read ? "reading" : "writing")")
        }
        return kind
    }

    private static func refusal(of descriptor: FileDescriptor, _ kind: String) -> EventLoopError {
        EventLoopError(
            .invalidArgument,
            "descriptor \(descriptor.rawValue) is \(kind), not a pipe, a FIFO, a stream socket or a character device")
    }
}

/// Descriptors that stay with their owners, as the standard streams.
extension EventLoop {
    /// Creates the driver of the two standard streams. The task is on its loop.
    final func openStandardStreams(
        input: FileDescriptor = .standardInput, output: FileDescriptor = .standardOutput
    ) throws -> StreamDriver {
        let input = try openSharedPipe(input, for: .read)
        do {
            let driver = DuplexStreamDriver(input: input, output: try openSharedPipe(output, for: .write), on: self)
            return filterForTests(driver)
        } catch {
            input.close()
            throw error
        }
    }

    /// Creates the driver of a pipe, a terminal, a socket or a file, with a descriptor of its own.
    final func openSharedPipe(_ descriptor: FileDescriptor, for direction: Interest) throws -> PipeStreamDriver {
        if isClosed { throw EventLoopError.closed }
        try Task.checkCancellation()
        let operation = "use \(Self.name(of: descriptor))"
        let kind = try IOError.naming(operation) { try FileKind(of: descriptor) }
        if kind == .other {
            throw EventLoopError(.invalidArgument, "cannot \(operation): it is a directory or a file without a name")
        }
        let (own, calls) = try IOError.naming(operation) { try TransferCalls.sharing(descriptor, kind) }
        do {
            try checkRoom(for: own)
        } catch {
            closeSocket(Socket(number: own.rawValue))
            throw error
        }
        return try makePipeDriver(ByteChannel(Socket(number: own.rawValue), calls), for: direction, kind)
    }

    private static func name(of descriptor: FileDescriptor) -> String {
        switch descriptor {
        case .standardInput: "standard input"
        case .standardOutput: "standard output"
        case .standardError: "standard error"
        default: "descriptor \(descriptor.rawValue)"
        }
    }
}
