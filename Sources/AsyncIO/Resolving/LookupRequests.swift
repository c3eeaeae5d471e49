import AsyncIOSystem

/// A host name, or a literal, whose addresses are asked for.
struct HostName: Hashable, CustomStringConvertible {
    let host: String
    let port: UInt16

    /// RFC 1035, 2.3.4. A longer name is rejected, never truncated, which would make it another name.
    private static let maxBytes = 253

    var description: String { "'\(host)'" }

    /// Returns the addresses of a host that needs no lookup: a literal, or `""` for all interfaces. Throws if the host
    /// is not a name.
    func literalAddresses() throws(EventLoopError) -> [SocketAddress]? {
        if host.isEmpty { return ["0.0.0.0", "::"].compactMap { SocketAddress(literal: $0, port: port) } }
        if let address = SocketAddress(literal: host, port: port) { return [address] }
        if host.utf8.contains(0) { throw EventLoopError(.unknownHost, "a host name must not contain a zero byte") }
        let count = host.utf8.count
        if count > Self.maxBytes {
            throw EventLoopError(
                .unknownHost, "a host name of \(count) bytes is longer than the \(Self.maxBytes) that DNS allows")
        }
        try checkNotMeantAsLiteral()
        return nil
    }

    /// Throws for what looks like an address. No name has a colon, and a name server must not be asked about the scope
    /// of an address.
    private func checkNotMeantAsLiteral() throws(EventLoopError) {
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, let address = SocketAddress(literal: String(parts[0]), port: port) {
            let reason =
                address.family == .ipv6
                ? "this machine has no interface '\(parts[1])'" : "an IPv4 address has no scope"
            throw EventLoopError(.unknownHost, "cannot use the address '\(host)': \(reason)")
        }
        if host.utf8.contains(UInt8(ascii: ":")) {
            throw EventLoopError(.unknownHost, "'\(host)' is neither an IPv6 address nor the name of a host")
        }
    }
}

/// An address whose names are asked for.
struct NamedAddress: Hashable, CustomStringConvertible {
    let address: SocketAddress
    let flags: NameInfoFlags

    var description: String { "the name of \(address)" }

    /// Returns the names if they are the numbers themselves, which need no lookup. Throws for an address that has none.
    func numbers() throws(EventLoopError) -> SystemResolver.Names? {
        if address.family == .unix {
            throw EventLoopError(.invalidArgument, "getNameInfo: the address of a unix socket has no name")
        }
        guard flags.isSuperset(of: [.numericHost, .numericService]) else { return nil }
        return try SystemResolver.lookUpName(address, flags).get()
    }
}
