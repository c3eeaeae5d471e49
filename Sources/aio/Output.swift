#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// Not `print`, which buffers what it writes to a pipe until the program ends: the first line of a server says where to
// connect, and has to be readable at once.

enum Output: Int32 {
    case standardOutput = 1
    case standardError = 2
}

/// Writes a line to standard output without buffering.
func say(_ line: String) {
    write("\(beginning(of: .standardOutput))\(line)\n", to: .standardOutput)
}

/// Writes a message to standard error without buffering.
func complain(_ message: String) {
    write("\(beginning(of: .standardError))aio: \(message)\n", to: .standardError)
}

/// Replaces the status line of the terminal, which the next message overwrites. The cursor stays at its beginning.
func showStatus(_ text: String) {
    write("\(beginning(of: .standardError))\(text)\r", to: .standardError)
}

func isTerminal(_ output: Output) -> Bool { isatty(output.rawValue) == 1 }

/// Lets a server continue when the reader of its output ends, as in `aio echo | head -1`.
func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
}

/// In a terminal, the line may contain a status, or `^C` after Ctrl-C: returns what erases it.
private func beginning(of output: Output) -> String { isTerminal(output) ? "\r\u{1B}[K" : "" }

private func write(_ text: String, to output: Output) {
    var text = text
    text.withUTF8 { bytes in
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(bytes)[written...]
            let count = write(output.rawValue, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            // The reader is gone, and there is nowhere to report it.
            if count <= 0 { return }
            written += count
        }
    }
}
