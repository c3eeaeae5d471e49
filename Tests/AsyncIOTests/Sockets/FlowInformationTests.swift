import AsyncIO
import AsyncIOSystem
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The traffic class and flow label of IPv6 addresses.
struct FlowInformationTests {
    /// A traffic class without a flow label, which only the kernel gives out.
    private static let flow: UInt32 = 0x0200_0000

    // covers: 273
    @Test func addressKeepsItsFlowInformation() throws {
        let plain = try #require(SocketAddress(literal: "fe80::7%3", port: 65_535))
        let address = plain.withFlowInformation(Self.flow)
        #expect(plain.flowInformation == 0)
        #expect(address.flowInformation == Self.flow)
        #expect(address != plain)
        #expect(address.withCAddress { SocketAddress($0.pointee, length: $1) } == address)
        #expect(address.withFlowInformation(1).flowInformation == 1)
        #expect(address.withFlowInformation(0) == plain)
        #expect(address.withPort(80) == plain.withPort(80).withFlowInformation(Self.flow))
        #expect((address.family, address.host, address.port) == (.ipv6, plain.host, 65_535))
        #expect("\(address)" == "[fe80::7%3]:65535")
        let ipv4 = try #require(SocketAddress(literal: "127.0.0.1", port: 80))
        #expect(ipv4.withFlowInformation(Self.flow) == ipv4)
        // An address is stored with each datagram.
        #expect(MemoryLayout<SocketAddress?>.stride == 24)
    }

    #if os(Linux)
    // covers: 273
    @Test(.enabled(if: SocketPlace.hasIPv6)) func systemReturnsTheFlowInformationOfThePeer() throws {
        let socket = try Socket.datagram(.ipv6)
        defer { socket.close() }
        var isOn: CInt = 1
        // IPV6_FLOWINFO_SEND, which no header of the C library defines.
        #expect(setsockopt(socket.number, CInt(IPPROTO_IPV6), 33, &isOn, socklen_t(MemoryLayout<CInt>.size)) == 0)
        let peer = try #require(SocketAddress(literal: "::1", port: 9)).withFlowInformation(Self.flow)
        #expect(try socket.connect(to: peer))
        #expect(socket.peerAddress == peer)
    }
    #endif
}
