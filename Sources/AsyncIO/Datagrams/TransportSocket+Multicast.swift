public import AsyncIOSystem

/// Multicast groups of a datagram endpoint. asyncio has none of these: there, a program calls `setsockopt`.
///
/// An interface is a name, such as `eth0`, or its number; `nil` lets the system choose. All functions throw an
/// `IOError`, with `ENODEV` for an interface that does not exist, or `.closed`.
extension TransportSocket {
    /// Joins a multicast group, so that its datagrams for the socket's port are received. The port of `group` does not
    /// matter.
    ///
    /// Bind the socket to all interfaces, or to the group's address to receive nothing else.
    public func joinGroup(_ group: SocketAddress, interface: String? = nil) throws {
        try withSocket("join the multicast group", group) { try $0.joinGroup(group, interface: interface) }
    }

    /// Leaves a multicast group, which the socket has joined on the same interface. A close leaves all groups.
    public func leaveGroup(_ group: SocketAddress, interface: String? = nil) throws {
        try withSocket("leave the multicast group", group) { try $0.leaveGroup(group, interface: interface) }
    }

    /// Sets the interface that multicast datagrams are sent from.
    public func setMulticastInterface(_ interface: String?) throws {
        try withSocket("set the multicast interface of") { try $0.setMulticastInterface(interface) }
    }

    /// Sets whether members of the group on this machine, including this socket, receive the multicast datagrams that
    /// the socket sends; by default they do.
    public func setMulticastLoop(_ isOn: Bool) throws {
        try withSocket("set whether this machine receives the multicast datagrams of") {
            try $0.setMulticastLoop(isOn)
        }
    }

    /// Sets the hop limit of multicast datagrams: 1, the default, for the local network; at most 255 (IP_MULTICAST_TTL,
    /// IPV6_MULTICAST_HOPS).
    public func setMulticastHops(_ hops: Int) throws {
        try withSocket("set the hop limit of multicast datagrams of") { try $0.setMulticastHops(hops) }
    }
}
