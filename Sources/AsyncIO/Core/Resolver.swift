public import AsyncIOSystem

/// Looks up host names and the names of addresses for a loop, which has one in ``EventLoop/resolver``.
///
/// ```swift
/// struct ServiceNames: Resolver {
///     let services: [String: String]
///
///     func addresses(of host: String, port: UInt16) async throws -> [SocketAddress] {
///         try await SystemResolver.shared.addresses(of: services[host] ?? host, port: port)
///     }
/// }
/// ```
///
/// The loop never passes literal addresses, empty names, names with a zero byte, or names that are longer than DNS
/// allows. Each lookup is a task of its own. It is cancelled when nobody waits for its answer any more, but nobody
/// waits for its end either: a function that ignores the cancellation delays neither the cancelled task nor the close
/// of the loop, and only retains the loop until it returns.
/// - Thread: the loop's, which the functions must not block.
public protocol Resolver: Sendable {
    /// Returns the addresses of a host, those to prefer first. Throws if there are none; a thrown error is that of the
    /// lookup.
    func addresses(of host: String, port: UInt16) async throws -> [SocketAddress]

    /// Finds the addresses of a host, and passes them to `found` as they become known, for a resolver that asks for
    /// IPv6 and IPv4 addresses at a time. A client begins to connect before this function has returned.
    ///
    /// By default it passes all of ``addresses(of:port:)`` at once.
    /// - Parameter found: May be called on any thread, and any number of times.
    func findAddresses(
        of host: String, port: UInt16, found: @escaping @Sendable ([SocketAddress]) -> Void
    ) async throws

    /// Returns the names of an address' host and port. By default it asks ``SystemResolver/shared``.
    func name(of address: SocketAddress, flags: NameInfoFlags) async throws -> (host: String, service: String)
}

extension Resolver {
    public func findAddresses(
        of host: String, port: UInt16, found: @escaping @Sendable ([SocketAddress]) -> Void
    ) async throws {
        found(try await addresses(of: host, port: port))
    }
}

/// What ``EventLoop/getNameInfo(_:flags:)`` returns. getnameinfo(3).
public struct NameInfoFlags: OptionSet, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The address itself instead of a host name (NI_NUMERICHOST).
    public static let numericHost = NameInfoFlags(rawValue: 1)
    /// The port number instead of the name of a service (NI_NUMERICSERV).
    public static let numericService = NameInfoFlags(rawValue: 2)
    /// An error instead of the address if the host has no name (NI_NAMEREQD).
    public static let nameRequired = NameInfoFlags(rawValue: 4)
    /// The name of a UDP service, where it differs from that of TCP (NI_DGRAM).
    public static let datagram = NameInfoFlags(rawValue: 8)
    /// Only the first part of the names of hosts in the local domain (NI_NOFQDN).
    public static let withoutDomain = NameInfoFlags(rawValue: 16)

    private static let names: [(flag: NameInfoFlags, name: String)] = [
        (.numericHost, "numericHost"), (.numericService, "numericService"), (.nameRequired, "nameRequired"),
        (.datagram, "datagram"), (.withoutDomain, "withoutDomain"),
    ]

    /// Such as `[numericHost, datagram]`.
    public var description: String {
        "[" + Self.names.filter { contains($0.flag) }.map(\.name).joined(separator: ", ") + "]"
    }
}
