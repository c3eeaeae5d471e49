import AsyncIOSystem
import SystemPackage

/// The standard streams of the process, each for a task. asyncio has no such type; its users connect `sys.stdin`.
///
/// ```swift
/// let input = try await StandardStreams.openInput(on: loop)
/// let output = try await StandardStreams.openOutput(on: loop)
/// for try await line in input.lines { try await output.write("\(line)\n") }
/// ```
///
/// They may be pipes, terminals, sockets, regular files or devices. They are shared with the shell and with other
/// programs, so nothing is changed in their open files: O_NONBLOCK would be seen by all of them, and also by `print`.
/// A stream uses a descriptor of its own, for which it opens a pipe or a terminal again, and where that is impossible
/// asks poll(2) before each call. Closing it leaves the standard descriptor open, so the reader of a pipe meets EOF
/// only when the process ends. Reading and writing regular files may wait for the disk.
///
/// For input and output as one connection see ``Endpoint/standardStreams``.
public enum StandardStreams {
    /// Reads from standard input. `limitBytes` is as in ``EventLoop/openConnection(to:options:fileID:line:)``.
    ///
    /// Throws an `IOError` if there is no standard input, `.invalidArgument` for a directory, and what
    /// ``EventLoop/openReadPipe(_:limitBytes:fileID:line:)`` throws.
    /// - Thread: any.
    public static func openInput(
        on loop: EventLoop, limitBytes: Int = EventLoop.defaultLineLimitBytes, fileID: StaticString = #fileID,
        line: UInt = #line
    ) async throws -> sending StreamReader {
        try await loop.openSharedReader(
            .standardInput, limitBytes: limitBytes, CallSite(fileID: fileID, line: line))
    }

    /// Writes to standard output. When its reader leaves, writes throw an `IOError` (EPIPE); no SIGPIPE is raised.
    ///
    /// Throws as ``openInput(on:limitBytes:fileID:line:)`` does.
    /// - Thread: any.
    public static func openOutput(
        on loop: EventLoop, fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending StreamWriter {
        try await loop.openSharedWriter(.standardOutput, CallSite(fileID: fileID, line: line))
    }

    /// Writes to standard error, as ``openOutput(on:fileID:line:)`` does to standard output.
    /// - Thread: any.
    public static func openError(
        on loop: EventLoop, fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending StreamWriter {
        try await loop.openSharedWriter(.standardError, CallSite(fileID: fileID, line: line))
    }
}

extension EventLoop {
    /// Reads from a descriptor that stays with its owners.
    final func openSharedReader(
        _ descriptor: FileDescriptor, limitBytes: Int, _ site: CallSite
    ) async throws -> sending StreamReader {
        try checkLineLimit(limitBytes, owning: .sockets([]))
        let made = try await withAffinity { _ in
            let transport = try openShared(descriptor, for: .read, site)
            return UncheckedSendable(value: StreamReader(transport, limitBytes: limitBytes))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    final func openSharedWriter(
        _ descriptor: FileDescriptor, _ site: CallSite
    ) async throws -> sending StreamWriter {
        let made = try await withAffinity { _ in
            UncheckedSendable(value: StreamWriter(try openShared(descriptor, for: .write, site)))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }

    private final func openShared(
        _ descriptor: FileDescriptor, for direction: Interest, _ site: CallSite
    ) throws -> StreamTransport {
        StreamTransport(
            loop: self, driver: try openSharedPipe(descriptor, for: direction), consumer: nil, peerAddress: nil,
            directions: direction, origin: ConnectionOrigin(site))
    }
}
