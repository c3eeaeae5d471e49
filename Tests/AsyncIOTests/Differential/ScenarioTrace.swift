import AsyncIO
import AsyncIOSystem
import SystemPackage

/// The error of `throw`.
struct ScenarioError: Error {
    let text: String
}

/// An error that is no part of a scenario.
struct ScenarioMistake: Error {
    let text: String
}

/// The lines of a scenario: in their order with their iterations, or by instant and object.
struct ScenarioTrace {
    /// The object whose lines come after those of all others.
    static let last = "~"

    private struct Line {
        let iteration: Int
        let milliseconds: Int64
        let actor: String
        let text: String
        var bytes: [UInt8]?
    }

    let byInstant: Bool
    private var recorded: [Line] = []

    init(byInstant: Bool) { self.byInstant = byInstant }

    mutating func append(_ text: String, of actor: String, iteration: Int, at instant: LoopInstant) {
        recorded.append(
            Line(iteration: iteration, milliseconds: instant.nanoseconds / 1_000_000, actor: actor, text: text))
    }

    /// Appends bytes. In a trace by instants, those of one instant are one line, because the kernel may deliver them in
    /// several pieces.
    mutating func append(_ text: String, of actor: String, bytes: [UInt8], iteration: Int, at instant: LoopInstant) {
        let milliseconds = instant.nanoseconds / 1_000_000
        if byInstant {
            let earlier = recorded.lastIndex { $0.milliseconds == milliseconds && $0.actor == actor }
            if let earlier, recorded[earlier].text == text, recorded[earlier].bytes != nil {
                recorded[earlier].bytes?.append(contentsOf: bytes)
                return
            }
        }
        recorded.append(
            Line(iteration: iteration, milliseconds: milliseconds, actor: actor, text: text, bytes: bytes))
    }

    var lines: [String] {
        if !byInstant { return recorded.map { "\($0.iteration) @\($0.milliseconds)ms \(Self.text(of: $0))" } }
        // A stable sort.
        return recorded.enumerated().sorted {
            ($0.element.milliseconds, $0.element.actor, $0.offset)
                < ($1.element.milliseconds, $1.element.actor, $1.offset)
        }.map { "@\($0.element.milliseconds)ms \(Self.text(of: $0.element))" }
    }

    private static func text(of line: Line) -> String {
        guard let bytes = line.bytes else { return line.text }
        return "\(line.text) \(show(bytes[...]))"
    }

    /// Returns the text of a few bytes, or the number and the checksum (Adler-32) of many.
    static func show(_ bytes: ArraySlice<UInt8>) -> String {
        if bytes.isEmpty { return "end" }
        if bytes.count <= 60 {
            return String(decoding: bytes, as: UTF8.self).map {
                switch $0 {
                case "\r\n": "\\r\\n"
                case "\r": "\\r"
                case "\n": "\\n"
                default: String($0)
                }
            }.joined()
        }
        var (low, high) = (UInt32(1), UInt32(0))
        bytes.withUnsafeBytes { bytes in
            // A loop over a collection takes eight times as long in a debug build.
            var index = 0
            while index < bytes.count {
                low = (low &+ UInt32(bytes.load(fromByteOffset: index, as: UInt8.self))) % 65521
                high = (high &+ low) % 65521
                index &+= 1
            }
        }
        let checksum = String(high << 16 | low, radix: 16)
        return "\(bytes.count) bytes, \(String(repeating: "0", count: 8 - checksum.count))\(checksum)"
    }
}

extension ScenarioRunner {
    /// The words for an error that belongs to a scenario; `nil` for any other error, which is a mistake.
    func reason(_ error: any Error) -> String? {
        switch error {
        case let error as ScenarioError: error.text
        case let error as IncompleteReadError: "incomplete, \(ScenarioTrace.show(error.partial[...]))"
        case is LimitOverrunError: "too long"
        case is CancellationError: "cancelled"
        case let error as IOError: Self.names[error.errno]
        case let error as Errno: Self.names[error]
        case let error as ConnectError: error.attempts.first.flatMap { reason($0) }
        case let error as EventLoopError:
            switch error.code {
            case .timedOut: "timed out"
            case .connectionClosed, .connectionBroken: "connection lost"
            case .busy, .invalidArgument, .invalidState, .closed: "refused"
            case .queueEmpty: "empty"
            case .queueFull: "full"
            case .brokenBarrier: "broken"
            default: nil
            }
        default: nil
        }
    }

    private static let names: [Errno: String] = [
        .brokenPipe: "EPIPE", .connectionReset: "ECONNRESET", .connectionRefused: "ECONNREFUSED",
        .connectionAbort: "ECONNABORTED", .timedOut: "ETIMEDOUT", .addressInUse: "EADDRINUSE",
        .noSuchFileOrDirectory: "ENOENT", .messageTooLong: "EMSGSIZE",
    ]
}
