import CAsyncIO

/// The local address or the peer address of a socket.
public struct SocketAddress: Sendable, Hashable {
    /// The family of an address. Further families may be added.
    public struct Family: Sendable, Hashable, CustomStringConvertible {
        let cFamily: CInt

        /// AF_INET.
        public static var ipv4: Family { Family(cFamily: AF_INET) }
        /// AF_INET6.
        public static var ipv6: Family { Family(cFamily: AF_INET6) }
        /// AF_UNIX.
        public static var unix: Family { Family(cFamily: AF_UNIX) }

        /// The name of the constant, such as `ipv4`.
        public var description: String {
            switch self {
            case .ipv4: "ipv4"
            case .ipv6: "ipv6"
            default: "unix"
            }
        }
    }

    enum Storage: Sendable, Hashable {
        /// The four bytes in network byte order, and the port.
        case ipv4(UInt32, port: UInt16)
        /// In this order an optional address takes 24 bytes instead of 32.
        case ipv6(high: UInt64, low: UInt64, scope: UInt32, port: UInt16)
        /// An IPv6 address with flow information other than 0. Few have it, so the others do not have room for it.
        indirect case flow(UInt32, of: Storage)
        /// A path, or an abstract name that begins with a zero byte.
        case unix([UInt8])
    }

    let storage: Storage

    init(storage: Storage) {
        self.storage = storage
    }

    /// Creates an address from a literal such as `127.0.0.1`, `::1` or `fe80::1%2`; `nil` if `literal` is not an
    /// address.
    ///
    /// No host name is looked up.
    public init?(literal: String, port: UInt16) {
        let parts = literal.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first, !literal.utf8.contains(0) else { return nil }
        var ipv4 = in_addr()
        if parts.count == 1, inet_pton(AF_INET, String(host), &ipv4) == 1 {
            storage = .ipv4(UInt32(bigEndian: ipv4.s_addr), port: port)
            return
        }
        var ipv6 = in6_addr()
        guard inet_pton(AF_INET6, String(host), &ipv6) == 1 else { return nil }
        var scope: UInt32 = 0
        if parts.count == 2 {
            scope = UInt32(parts[1]) ?? if_nametoindex(String(parts[1]))
            if scope == 0 { return nil }
        }
        storage = Self.ipv6Storage(ipv6, port: port, scope: scope)
    }

    /// Creates the address of a unix socket at `unixPath`; `nil` if the path is empty, contains a zero byte, or is
    /// longer than the limit of the system (107 bytes on Linux).
    public init?(unixPath: String) {
        let path = Array(unixPath.utf8)
        guard (1...Self.longestUnixPathBytes).contains(path.count), !path.contains(0) else { return nil }
        storage = .unix(path)
    }

    /// Creates the address of a unix socket with an abstract name, which is no file; `nil` if the name is empty,
    /// contains a zero byte, or is longer than the limit of the system (107 bytes), and on systems other than Linux.
    /// unix(7).
    public init?(abstractName: String) {
        #if os(Linux)
        let name = Array(abstractName.utf8)
        guard (1...Self.longestUnixPathBytes).contains(name.count), !name.contains(0) else { return nil }
        storage = .unix([0] + name)
        #else
        return nil
        #endif
    }

    public var family: Family {
        switch storage {
        case .ipv4: .ipv4
        case .ipv6, .flow: .ipv6
        case .unix: .unix
        }
    }

    /// The flow information of an IPv6 address, in the processor's byte order, and 0 for all others: the traffic class
    /// and the flow label. ipv6(7), `sin6_flowinfo`.
    ///
    /// On Linux, a socket sends it only with the option IPV6_FLOWINFO_SEND.
    public var flowInformation: UInt32 {
        if case .flow(let flow, _) = storage { flow } else { 0 }
    }

    /// Returns an IPv6 address with other flow information; any other address is returned unchanged.
    public func withFlowInformation(_ flow: UInt32) -> SocketAddress {
        switch storage {
        case .ipv6: flow == 0 ? self : SocketAddress(storage: .flow(flow, of: storage))
        case .flow(_, let rest): SocketAddress(storage: rest).withFlowInformation(flow)
        case .ipv4, .unix: self
        }
    }

    /// The port, or `nil` for a unix socket.
    public var port: UInt16? {
        switch storage {
        case .ipv4(_, let port), .ipv6(_, _, _, let port): port
        case .flow(_, let rest): SocketAddress(storage: rest).port
        case .unix: nil
        }
    }

    /// The host as a literal, without the port; the path of a unix socket, or its abstract name behind an `@`.
    public var host: String {
        switch storage {
        case .ipv4(let address, _):
            return stride(from: 24, through: 0, by: -8).map { String(address >> UInt32($0) & 0xff) }
                .joined(separator: ".")
        case .ipv6(let high, let low, let scope, _):
            var address = in6_addr()
            withUnsafeMutableBytes(of: &address) {
                $0.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
            let literal = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return scope == 0 ? literal : "\(literal)%\(scope)"
        case .flow(_, let rest):
            return SocketAddress(storage: rest).host
        case .unix(let path):
            return path.first == 0
                ? "@" + String(decoding: path.dropFirst(), as: UTF8.self) : String(decoding: path, as: UTF8.self)
        }
    }

    /// Returns the address with another port; the address of a unix socket is returned unchanged.
    public func withPort(_ port: UInt16) -> SocketAddress {
        switch storage {
        case .ipv4(let address, _): SocketAddress(storage: .ipv4(address, port: port))
        case .ipv6(let high, let low, let scope, _):
            SocketAddress(storage: .ipv6(high: high, low: low, scope: scope, port: port))
        case .flow(let flow, let rest): SocketAddress(storage: rest).withPort(port).withFlowInformation(flow)
        case .unix: self
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// Such as `127.0.0.1:80`, `[::1]:80`, the path of a unix socket, or `@name` for an abstract name. It does not
    /// contain flow information.
    public var description: String {
        switch storage {
        case .ipv4(_, let port): "\(host):\(port)"
        case .ipv6(_, _, _, let port): "[\(host)]:\(port)"
        case .flow(_, let rest): "\(SocketAddress(storage: rest))"
        case .unix: host.isEmpty ? "an unnamed unix socket" : host
        }
    }
}
