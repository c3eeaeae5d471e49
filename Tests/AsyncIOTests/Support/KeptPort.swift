import AsyncIO
import AsyncIOTesting
import Foundation
import SystemPackage

/// A port number of several addresses, kept by sockets that do not listen, so connections to it are refused.
///
/// Another test may get a port at once after it is closed, and a server that listens on one address does not reserve
/// the number on another address. The test's own server may listen on this number with SO_REUSEADDR; the port remains
/// reserved when it is closed.
struct KeptPort {
    let number: UInt16
    private let sockets: [Socket]

    init(_ hosts: String...) throws {
        var kept: [Socket]?
        // Another program may use the number of the first address on the next one.
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
            // Not earlier: with the option, the number could be shared with another server that does not listen yet.
            for socket in sockets { try socket.setOption(.reuseAddress, to: 1) }
            return sockets
        } catch {
            for socket in sockets { socket.close() }
            throw error
        }
    }
}

/// Returns the number of sockets of this process that have `address` as local or peer address. Sockets that the test
/// does not expect have leaked.
///
/// The kernel's table is not used, because it contains other programs' sockets too, and for a moment the duplicates of
/// a child process that another test is starting. The port must be in use, because another test may get a free port.
func openSockets(at address: SocketAddress) throws -> Int {
    try openSockets { $0 == address }
}

/// Returns the number of sockets of this process whose local or peer address matches.
func openSockets(_ isMeant: (SocketAddress) -> Bool) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/dev/fd").compactMap { CInt($0) }.count { number in
        let socket = Socket(number: number)
        return [socket.localAddress, socket.peerAddress].contains { $0.map(isMeant) == true }
    }
}
