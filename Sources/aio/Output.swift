#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// Not `print`, which buffers what it writes to a pipe until the program ends: the first line of a server says where to
// connect, and has to be readable at once.

/// Writes a line to standard output without buffering.
func say(_ line: String) {
    // In a terminal, Ctrl-C leaves `^C` at the beginning of the line.
    write(isatty(STDOUT_FILENO) == 1 ? "\r\(line)\n" : "\(line)\n", to: STDOUT_FILENO)
}

/// Writes a message to standard error without buffering.
func complain(_ message: String) {
    write("aio: \(message)\n", to: STDERR_FILENO)
}

/// Lets a server continue when the reader of its output ends, as in `aio echo | head -1`.
func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
}

private func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { bytes in
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(bytes)[written...]
            let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            // The reader is gone, and there is nowhere to report it.
            if count <= 0 { return }
            written += count
        }
    }
}
