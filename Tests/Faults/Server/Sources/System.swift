import Glibc
import SystemPackage

/// A file without a name, to which each piece is appended that is sent back. Its bytes do not change, because the
/// kernel may send them later.
final class EchoFile {
    private let file: UnsafeMutablePointer<FILE>
    let descriptor: FileDescriptor
    private var end: Int64 = 0

    init() throws {
        guard let file = tmpfile() else { throw Errno(rawValue: errno) }
        self.file = file
        descriptor = FileDescriptor(rawValue: fileno(file))
    }

    /// Appends the bytes, and returns their offset.
    func append(_ bytes: RawSpan) throws -> Int64 {
        let offset = end
        end += try bytes.withUnsafeBytes { Int64(try descriptor.writeAll(toAbsoluteOffset: offset, $0)) }
        return offset
    }

    func close() { fclose(file) }
}

/// Lets a write to a pipe without a reader fail, instead of ending the program.
func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }

/// Writes a line to standard output without buffering.
func say(_ line: String) { _ = try? FileDescriptor.standardOutput.writeAll("\(line)\n".utf8) }

/// Writes a message to standard error.
func complain(_ message: String) { _ = try? FileDescriptor.standardError.writeAll("FaultServer: \(message)\n".utf8) }
