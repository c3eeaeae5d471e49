import ArgumentParser
import AsyncIO

/// Where a command listens or connects, as written on the command line: `HOST:PORT`, `[IPv6]:PORT`, `:PORT`,
/// `unix:PATH`, `abstract:NAME` or `udp:HOST:PORT`.
enum EndpointArgument: Sendable, Hashable {
    case tcp(HostAndPort)
    case unix(path: String)
    case abstract(name: String)
    case udp(HostAndPort)

    /// For the help of a command.
    static let help = """
        An endpoint is HOST:PORT for TCP, udp:HOST:PORT for datagrams, unix:PATH for a unix socket, or abstract:NAME \
        for one without a file.
        """

    /// Throws a `ValidationError` that describes the mistake in `text`.
    init(parsing text: String) throws {
        try self.init(text, HostAndPort.init(parsing:))
    }

    /// Parses an endpoint to connect to, which needs a host and a port other than 0.
    init(parsingTarget text: String) throws {
        try self.init(text, HostAndPort.init(parsingTarget:))
    }

    private init(_ text: String, _ parseAddress: (String) throws -> HostAndPort) throws {
        if let path = text.rest(after: "unix:") {
            if path.isEmpty { throw ValidationError("the path is missing; write unix:PATH, such as unix:/tmp/socket") }
            self = .unix(path: path)
        } else if let name = text.rest(after: "abstract:") {
            if name.isEmpty { throw ValidationError("the name is missing; write abstract:NAME") }
            self = .abstract(name: name)
        } else if let address = text.rest(after: "udp:") {
            self = .udp(try parseAddress(address))
        } else {
            self = .tcp(try parseAddress(text))
        }
    }

    var endpoint: Endpoint {
        switch self {
        case .tcp(let address), .udp(let address): .host(address.host, port: address.port)
        case .unix(let path): .unix(path)
        case .abstract(let name): .abstract(name)
        }
    }

    /// Where a service listens that was started on this endpoint.
    func text(of addresses: [SocketAddress]) -> String {
        switch self {
        case .tcp: addresses.map { "\($0)" }.joined(separator: ", ")
        case .udp: addresses.map { "udp:\($0)" }.joined(separator: ", ")
        case .unix, .abstract: "\(self)"
        }
    }

    var isDatagram: Bool {
        if case .udp = self { true } else { false }
    }
}

extension EndpointArgument: CustomStringConvertible {
    var description: String {
        switch self {
        case .tcp(let address): "\(address)"
        case .unix(let path): "unix:\(path)"
        case .abstract(let name): "abstract:\(name)"
        case .udp(let address): "udp:\(address)"
        }
    }
}

extension String {
    fileprivate func rest(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
