import SystemPackage

// Descriptions in one form for all types, after asyncio's `repr`: `<Type identity, state>`.

extension Socket: CustomStringConvertible {
    /// Such as `<Socket fd=7 127.0.0.1:80 -> 127.0.0.1:50000>`. Makes two system calls for the addresses.
    public var description: String {
        var text = "<Socket fd=\(number)"
        if let localAddress {
            text += " \(localAddress)"
            if let peerAddress { text += " -> \(peerAddress)" }
        } else {
            text += ", not a socket"
        }
        return text + ">"
    }
}

extension SocketOption: CustomStringConvertible {
    /// The name from section 7 of the manual, such as `TCP_NODELAY`, or the numbers.
    public var description: String {
        switch self {
        case .noDelay: "TCP_NODELAY"
        case .reuseAddress: "SO_REUSEADDR"
        case .reusePort: "SO_REUSEPORT"
        case .broadcast: "SO_BROADCAST"
        case .ipv6Only: "IPV6_V6ONLY"
        case .sendBufferBytes: "SO_SNDBUF"
        case .receiveBufferBytes: "SO_RCVBUF"
        default: "socket option \(name) of level \(level)"
        }
    }
}

extension Waker: CustomStringConvertible {
    /// Such as `<Waker fd=5>`.
    public var description: String { "<Waker fd=\(descriptor.rawValue)>" }
}

extension LoopInstant: CustomStringConvertible {
    /// The time on the clock in seconds, such as `12.345 s`.
    public var description: String {
        self == .distantFuture ? "distant future" : "\(Duration.nanoseconds(nanoseconds).inSeconds) s"
    }
}

extension Duration {
    /// The seconds with three decimal places.
    package var inSeconds: String {
        let milliseconds = wholeNanoseconds / 1_000_000
        let (whole, rest) = milliseconds.magnitude.quotientAndRemainder(dividingBy: 1_000)
        let zeros = rest < 10 ? "00" : rest < 100 ? "0" : ""
        return "\(milliseconds < 0 ? "-" : "")\(whole).\(zeros)\(rest)"
    }
}

extension Readiness: CustomStringConvertible {
    /// Such as `[read, hangup]`.
    public var description: String {
        let names: [(Readiness, String)] = [
            (.read, "read"), (.write, "write"), (.hangup, "hangup"), (.urgent, "urgent"),
        ]
        var words = names.filter { contains($0.0) }.map(\.1)
        let others = subtracting([.read, .write, .hangup, .urgent]).rawValue
        if others != 0 { words.append("\(others)") }
        return "[\(words.joined(separator: ", "))]"
    }
}

extension Interest: CustomStringConvertible {
    /// Such as `[read, write]`.
    public var description: String { "\(Readiness(self))" }
}

extension BufferPool.Size: CustomStringConvertible {
    /// Such as `16 KiB`.
    public var description: String { "\(byteCount / 1_024) KiB" }
}

extension BufferPool: CustomStringConvertible {
    /// The name of the type.
    public var description: String { "<\(type(of: self))>" }
}

extension PooledBuffer: CustomStringConvertible {
    /// Such as `buffer of 16 KiB`.
    public var description: String { "buffer of \(size)" }
}
