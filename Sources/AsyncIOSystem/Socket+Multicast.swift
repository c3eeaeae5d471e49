import CAsyncIO
public import SystemPackage

/// Multicast groups, and the properties of multicast datagrams that a socket sends. ip(7), ipv6(7).
///
/// An interface is a name, such as `eth0`, or its number; `nil` lets the system choose. Functions throw `ENODEV` for an
/// interface that does not exist.
extension Socket {
    /// Joins a multicast group. The port of `group` does not matter.
    public func joinGroup(_ group: SocketAddress, interface: String? = nil) throws(Errno) {
        let index = try Self.interfaceIndex(interface, of: group)
        _ = try valueOrErrno(group.withCAddress { address, _ in aio_join_group(number, address, index) })
    }

    /// Leaves a multicast group, which the socket has joined on the same interface.
    public func leaveGroup(_ group: SocketAddress, interface: String? = nil) throws(Errno) {
        let index = try Self.interfaceIndex(interface, of: group)
        _ = try valueOrErrno(group.withCAddress { address, _ in aio_leave_group(number, address, index) })
    }

    /// Sets the interface that multicast datagrams are sent from.
    public func setMulticastInterface(_ interface: String?) throws(Errno) {
        let index = try Self.interfaceIndex(interface, of: nil)
        _ = try valueOrErrno(aio_set_multicast_interface(number, try cFamily, index))
    }

    /// Sets whether members of the group on this machine receive the multicast datagrams; by default they do.
    public func setMulticastLoop(_ isOn: Bool) throws(Errno) {
        _ = try valueOrErrno(aio_set_multicast_loop(number, try cFamily, isOn ? 1 : 0))
    }

    /// Sets how many routers a multicast datagram passes, plus one: 1, the default, for the local network; at most 255.
    public func setMulticastHops(_ hops: Int) throws(Errno) {
        _ = try valueOrErrno(aio_set_multicast_hops(number, try cFamily, CInt(clamping: hops)))
    }

    private var cFamily: CInt {
        get throws(Errno) {
            guard let family, family != .unix else { throw .addressFamilyNotSupported }
            return family.cFamily
        }
    }

    private static func interfaceIndex(_ name: String?, of group: SocketAddress?) throws(Errno) -> UInt32 {
        guard let name else { return group?.scope ?? 0 }
        let index = UInt32(name) ?? if_nametoindex(name)
        if index == 0 { throw Errno(rawValue: ENODEV) }
        return index
    }
}

extension SocketAddress {
    /// The number of the interface of an IPv6 address; 0 for none.
    fileprivate var scope: UInt32 {
        switch storage {
        case .ipv6(_, _, let scope, _): scope
        case .flow(_, let rest): SocketAddress(storage: rest).scope
        case .ipv4, .unix: 0
        }
    }
}
