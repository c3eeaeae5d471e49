#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// Not `print`: what it writes to a pipe stays in a buffer until the program ends, but a server's first line tells
// whoever started it where to connect.

/// Writes a line to standard output, at once.
func say(_ line: String) {
    // In a terminal, Ctrl-C leaves `^C` at the beginning of the line.
    write(isatty(STDOUT_FILENO) == 1 ? "\r\(line)\n" : "\(line)\n", to: STDOUT_FILENO)
}

/// Writes a sentence to standard error, at once.
func complain(_ sentence: String) {
    write("aio: \(sentence)\n", to: STDERR_FILENO)
}

/// A server outlives the reader of its output: `aio echo | head -1`.
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
            // Nobody is left to be told.
            if count <= 0 { return }
            written += count
        }
    }
}
