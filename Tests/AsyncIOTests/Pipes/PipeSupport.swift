import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage

@testable import AsyncIO

/// The two ends of a pipe, close-on-exec. Blocking, as pipe(2) creates them, unless the test asks for the other kind.
struct PipeEnds {
    let reader: FileDescriptor
    let writer: FileDescriptor

    init(flags: CInt = 0) throws {
        var ends: [CInt] = [-1, -1]
        let result = aio_pipe(&ends)
        if result < 0 { throw Errno(rawValue: -result) }
        for end in ends { guard fcntl(end, F_SETFL, flags) == 0 else { throw Errno(rawValue: errno) } }
        reader = FileDescriptor(rawValue: ends[0])
        writer = FileDescriptor(rawValue: ends[1])
    }

    /// A pipe that takes one page.
    static func small(flags: CInt = 0) throws -> PipeEnds {
        let pipe = try PipeEnds(flags: flags)
        // F_SETPIPE_SZ, which Glibc's module lacks.
        guard fcntl(pipe.writer.rawValue, 1031, 4096) == 4096 else { throw Errno(rawValue: errno) }
        return pipe
    }
}

/// The two ends of a FIFO, or the names of more, in a directory that is removed.
func withFIFO(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("asyncio-\(UUID().uuidString)").path
    guard mkfifo(path, 0o600) == 0 else { throw Errno(rawValue: errno) }
    defer { unlink(path) }
    try await body(path)
}

extension FileDescriptor {
    /// Opens a FIFO, or another file with a name.
    static func opening(_ path: String, _ mode: AccessMode, waits: Bool = true) throws -> FileDescriptor {
        try open(path, mode, options: waits ? .closeOnExec : [.closeOnExec, .nonBlocking])
    }

    /// Whether reads and writes return instead of waiting, of everybody who shares the open file.
    var isNonBlocking: Bool { get throws { try Socket(number: rawValue).isNonBlocking() } }

    /// Whether nobody holds the other end of the pipe any more.
    var isHungUp: Bool { aio_has_hung_up(rawValue) }

    /// Writes a few bytes, for which the file has room.
    func write(_ text: String) throws {
        _ = try writeAll(Array(text.utf8))
    }

    /// Reads what is there.
    func readSome() throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: 64 * 1024) { memory, count in
            count = try read(into: UnsafeMutableRawBufferPointer(memory))
        }
    }

    /// Returns a descriptor that shares the open file.
    func shared() throws -> FileDescriptor {
        let number = fcntl(rawValue, F_DUPFD_CLOEXEC, 0)
        if number < 0 { throw Errno(rawValue: errno) }
        return FileDescriptor(rawValue: number)
    }
}

extension TransferCalls {
    /// Writes from memory of a test.
    func write(_ descriptor: FileDescriptor, _ bytes: UnsafeMutableRawBufferPointer) -> IOResult {
        var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        return withUnsafePointer(to: &piece) { write(descriptor, UnsafeBufferPointer(start: $0, count: 1)) }
    }
}

/// A pseudo-terminal without echo and without translation of line ends.
struct TestTerminal {
    let controller: FileDescriptor
    let terminal: FileDescriptor

    init(isRaw: Bool = true) throws {
        var ends: [CInt] = [-1, -1]
        let result = aio_open_pseudo_terminal(&ends)
        if result < 0 { throw Errno(rawValue: -result) }
        controller = FileDescriptor(rawValue: ends[0])
        terminal = FileDescriptor(rawValue: ends[1])
        guard isRaw else { return }
        var modes = termios()
        tcgetattr(terminal.rawValue, &modes)
        cfmakeraw(&modes)
        tcsetattr(terminal.rawValue, TCSANOW, &modes)
    }
}
