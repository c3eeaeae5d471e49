import ArgumentParser
import AsyncIO

/// A host and a port as written on the command line: `HOST:PORT`, `[IPv6]:PORT`, or `:PORT`.
struct HostAndPort: Sendable, Hashable {
    /// A name or a literal address without brackets. An empty host means all interfaces.
    var host: String
    var port: UInt16

    init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Throws a `ValidationError` that describes the mistake in `text`.
    init(parsing text: String) throws {
        let rest: Substring
        (host, rest) = try text.first == "[" ? Self.splitBrackets(text) : Self.splitName(text)
        guard rest.first == ":" else {
            throw ValidationError("the port is missing; write HOST:PORT, such as 127.0.0.1:8888")
        }
        port = try Self.parsePort(rest.dropFirst())
    }

    /// Parses an address to connect to, which needs a host and a port other than 0.
    init(parsingTarget text: String) throws {
        try self.init(parsing: text)
        if host.isEmpty { throw ValidationError("the host is missing; write HOST:PORT, such as example.org:80") }
        if port == 0 { throw ValidationError("port 0 is not a port to connect to") }
    }

    private static func splitBrackets(_ text: String) throws -> (host: String, rest: Substring) {
        let literal = text.dropFirst().prefix { $0 != "]" }
        guard literal.endIndex < text.endIndex, SocketAddress(literal: String(literal), port: 0)?.family == .ipv6 else {
            throw ValidationError("the brackets must contain an IPv6 address, as in [::1]:8888")
        }
        return (String(literal), text[literal.endIndex...].dropFirst())
    }

    private static func splitName(_ text: String) throws -> (host: String, rest: Substring) {
        let colon = text.firstIndex(of: ":") ?? text.endIndex
        let rest = text[colon...]
        if rest.dropFirst().contains(":") {
            throw ValidationError("write an IPv6 address in brackets, as in [::1]:8888")
        }
        return (String(text[..<colon]), rest)
    }

    private static func parsePort(_ text: Substring) throws -> UInt16 {
        if text.isEmpty { throw ValidationError("the port is missing after the colon") }
        guard text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            throw ValidationError("'\(text)' is not a port number")
        }
        guard let port = UInt16(text) else {
            throw ValidationError("the port \(text) is out of range; the largest is 65535")
        }
        return port
    }
}

extension HostAndPort: CustomStringConvertible {
    var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
