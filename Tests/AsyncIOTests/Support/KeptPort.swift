import AsyncIO
import AsyncIOTesting
import Foundation
import SystemPackage

/// One port number of several addresses, kept by sockets that do not listen: whoever connects there is refused.
///
/// A port that was closed may be a neighbour's at once, and whoever listens on one address says nothing of the same
/// number on another one. A server of the test's own may listen there, by this number and with SO_REUSEADDR: the port
/// stays kept when it is closed.
struct KeptPort {
    let number: UInt16
    private let sockets: [Socket]

    init(_ hosts: String...) throws {
        var kept: [Socket]?
        // The number that the first address got may be somebody's on the next one.
        for _ in 1..<100 where kept == nil {
            do { kept = try Self.bind(hosts) } catch Errno.addressInUse {}
        }
        sockets = try kept ?? Self.bind(hosts)
        number = sockets[0].localAddress!.port!
    }

    func close() {
        for socket in sockets { socket.close() }
    }

    private static func bind(_ hosts: [String]) throws -> [Socket] {
        var sockets: [Socket] = []
        do {
            for host in hosts {
                let address = SocketAddress(literal: host, port: sockets.first?.localAddress?.port ?? 0)!
                let socket = try Socket.stream(for: address)
                sockets.append(socket)
                if address.family == .ipv6 { try socket.setOption(.ipv6Only, to: 1) }
                try socket.bind(to: address)
            }
            // Only now: before, it would let the number be had beside a neighbour's server that does not listen yet.
            for socket in sockets { try socket.setOption(.reuseAddress, to: 1) }
            return sockets
        } catch {
            for socket in sockets { socket.close() }
            throw error
        }
    }
}

/// How many sockets of this process have `address` at one of their ends: what a test knows nothing of has leaked.
///
/// Not asked of the kernel's table, which has other programs' sockets too, and for a moment what a child that another
/// test is starting has duplicates of. Somebody must have the port: one that is free may be a neighbour's by now.
func openSockets(at address: SocketAddress) throws -> Int {
    try openSockets { $0 == address }
}

/// How many sockets of this process have such an address at one of their ends.
func openSockets(_ isMeant: (SocketAddress) -> Bool) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/dev/fd").compactMap { CInt($0) }.count { number in
        let socket = Socket(number: number)
        return [socket.localAddress, socket.peerAddress].contains { $0.map(isMeant) == true }
    }
}
