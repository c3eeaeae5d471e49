import AsyncIOSystem
import CAsyncIO
public import SystemPackage

/// A terminal: the size of its window and its modes. termios(3), tty(4).
///
/// The bytes of a terminal are read and written like those of a pipe: see
/// ``EventLoop/connectReadPipe(_:fileID:line:_:)`` and ``StandardStreams``. A value that does not own its descriptor.
/// asyncio has no such type; its users call Python's `tty`, `pty` and `os.get_terminal_size`.
///
/// - Thread: any.
public struct Terminal: Sendable, Hashable, CustomStringConvertible {
    /// The descriptor, which belongs to somebody else.
    public let descriptor: FileDescriptor

    /// Returns the terminal of a descriptor; `nil` if it is none. isatty(3).
    public init?(_ descriptor: FileDescriptor) {
        guard aio_is_terminal(descriptor.rawValue) else { return nil }
        self.descriptor = descriptor
    }

    /// The size of a window in characters; 0 where it is unknown.
    public struct Size: Sendable, Hashable, CustomStringConvertible {
        public var columns: Int
        public var rows: Int

        public init(columns: Int, rows: Int) {
            self.columns = columns
            self.rows = rows
        }

        /// Such as `80x24`.
        public var description: String { "\(columns)x\(rows)" }
    }

    /// The size of the window. Throws an `IOError`. TIOCGWINSZ.
    ///
    /// For its changes see ``sizes(on:)``.
    public var size: Size {
        get throws(IOError) {
            var (columns, rows): (CInt, CInt) = (0, 0)
            try check(aio_window_size(descriptor.rawValue, &columns, &rows), "get the window size of")
            return Size(columns: Int(columns), rows: Int(rows))
        }
    }

    /// Sets the size of the window, for the program that shows it. The programs in the window get SIGWINCH if it has
    /// changed. Throws an `IOError`, for numbers outside of 0 to 65,535 with `EINVAL`. TIOCSWINSZ.
    public func setSize(_ size: Size) throws(IOError) {
        let operation = "set the window size of"
        guard let columns = UInt16(exactly: size.columns), let rows = UInt16(exactly: size.rows) else {
            throw IOError(.invalidArgument, operation: "\(operation) descriptor \(descriptor.rawValue)")
        }
        try check(aio_set_window_size(descriptor.rawValue, CInt(columns), CInt(rows)), operation)
    }

    /// Begins raw mode: each byte that is typed is read at once, without echo, and Ctrl-C is a byte like the others.
    /// cfmakeraw(3).
    ///
    /// ```swift
    /// let mode = try terminal.enterRawMode()
    /// defer { mode.restore() }
    /// ```
    ///
    /// The former modes are restored by ``RawMode/restore()``, when the object is released, at exit(3), and when the
    /// process ends by a signal that it does not handle, such as SIGTERM, or by a trap. They are not restored after
    /// `_exit`, exec, SIGKILL and SIGSTOP, nor while the process is in the background, where another program has the
    /// terminal. Throws an `IOError`, with `EMFILE` for more than 16 raw modes at a time.
    public func enterRawMode() throws(IOError) -> RawMode {
        var id: UInt64 = 0
        try check(aio_raw_mode_enter(descriptor.rawValue, &id), "set the mode of")
        return RawMode(id, descriptor)
    }

    /// Opens a pseudo-terminal, which a program takes for a terminal while this one shows and types. Both descriptors
    /// belong to the caller. Throws an `IOError`. posix_openpt(3).
    public static func openPseudoTerminal() throws(IOError) -> (controller: FileDescriptor, terminal: FileDescriptor) {
        var ends: (CInt, CInt) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) {
            aio_open_pseudo_terminal($0.assumingMemoryBound(to: CInt.self).baseAddress!)
        }
        if result < 0 { throw IOError(Errno(rawValue: -result), operation: "open a pseudo-terminal") }
        return (FileDescriptor(rawValue: ends.0), FileDescriptor(rawValue: ends.1))
    }

    private func check(_ result: CInt, _ operation: String) throws(IOError) {
        if result >= 0 { return }
        throw IOError(Errno(rawValue: -result), operation: "\(operation) descriptor \(descriptor.rawValue)")
    }

    /// Such as `<Terminal fd=0>`.
    public var description: String { "<Terminal fd=\(descriptor.rawValue)>" }
}

/// The raw mode of a ``Terminal``, until it is restored or released.
///
/// - Thread: any.
public final class RawMode: Sendable, CustomStringConvertible {
    private let id: UInt64
    private let descriptor: FileDescriptor

    init(_ id: UInt64, _ descriptor: FileDescriptor) {
        self.id = id
        self.descriptor = descriptor
    }

    deinit { restore() }

    /// Restores the modes that the terminal had before, also if its descriptor was closed. Idempotent.
    public func restore() { _ = aio_raw_mode_leave(id) }

    /// Such as `<RawMode fd=0>`.
    public var description: String { "<RawMode fd=\(descriptor.rawValue)>" }
}
