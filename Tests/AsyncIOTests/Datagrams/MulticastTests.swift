import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

struct MulticastTests {
    struct Group: CustomTestStringConvertible, Sendable {
        var wildcard: String
        var address: String
        var interface: String

        var testDescription: String { "\(address) on \(interface)" }
    }

    /// A group of each family with an interface that has it.
    static let groups: [Group] = {
        let suffix = UInt8.random(in: 1...250)
        var groups = [Group(wildcard: "0.0.0.0", address: "239.93.17.\(suffix)", interface: "lo")]
        // The loopback interface has no IPv6 groups.
        for name in interfaceNames() where name != "lo" {
            let group = Group(wildcard: "::", address: "ff12::93:\(suffix)", interface: name)
            if canSend(to: group) { return groups + [group] }
        }
        return groups
    }()

    private static func interfaceNames() -> [String] {
        guard let first = if_nameindex() else { return [] }
        defer { if_freenameindex(first) }
        var names: [String] = []
        var entry = first
        while let name = entry.pointee.if_name {
            names.append(String(cString: name))
            entry += 1
        }
        return names
    }

    private static func canSend(to group: Group) -> Bool {
        guard let socket = try? Socket.datagram(.ipv6) else { return false }
        defer { socket.close() }
        guard let address = SocketAddress(literal: "\(group.address)%\(group.interface)", port: 9) else { return false }
        return (try? socket.setMulticastInterface(group.interface)) != nil
            && socket.sendDatagram("x", to: address) == .bytes(1)
    }

    static let cases = TestLoop.all.flatMap { kind in groups.map { (kind, $0) } }

    // covers: 196
    @Test(arguments: cases)
    func membersOfAGroupReceiveItsDatagrams(kind: TestLoop, group: Group) async throws {
        try await withLoop(kind) { loop in
            let members = [
                try await loop.recordDatagrams(on: group.wildcard, options: DatagramOptions(reusePort: true))
            ]
            let port = members[0].transport.localAddress!.port!
            let second = try await loop.createDatagramEndpoint(
                local: .host(group.wildcard, port: port), options: DatagramOptions(reusePort: true)
            ) { DatagramRecorder() }
            let both = members + [(second.transport, second.protocol)]
            let address = SocketAddress(literal: group.address, port: port)!
            for member in both { try member.transport.socket.joinGroup(address, interface: group.interface) }

            let sender = try await loop.recordDatagrams(on: group.wildcard)
            try sender.transport.socket.setMulticastInterface(group.interface)
            try sender.transport.socket.setMulticastHops(1)
            try sender.transport.send("to the group", to: address)
            await loop.until { both.allSatisfy { !$0.recorder.datagrams.isEmpty } }
            #expect(both.map(\.recorder.texts) == [["to the group"], ["to the group"]])

            try both[0].transport.socket.leaveGroup(address, interface: group.interface)
            try sender.transport.send("to the rest", to: address)
            await loop.until { both[1].recorder.datagrams.count == 2 }
            // Nobody on this machine. Everything that the loopback interface sends arrives there.
            try sender.transport.socket.setMulticastLoop(false)
            if group.interface != "lo" { try sender.transport.send("to others", to: address) }
            // In the same iteration: the option applies to later datagrams only.
            try sender.transport.socket.setMulticastLoop(true)
            try sender.transport.send("last", to: address)
            await loop.until { both[1].recorder.texts.last == "last" }
            #expect(both[1].recorder.texts == ["to the group", "to the rest", "last"])
            #expect(sender.recorder.errors == [])
            await loop.end(both[0], both[1], sender)
        }
    }

    // covers: 196
    @Test(arguments: TestLoop.all)
    func whatCannotBeJoinedIsAnErrorThatNamesIt(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let endpoint = try await loop.recordDatagrams()
            let socket = endpoint.transport.socket
            let group = SocketAddress(literal: "239.93.17.1", port: 0)!
            func errno(_ body: () throws -> Void) -> Errno? {
                do { try body() } catch { return (error as? IOError)?.errno }
                return nil
            }
            #expect(errno { try socket.joinGroup(group, interface: "no-such-one") } == Errno(rawValue: ENODEV))
            #expect(errno { try socket.joinGroup(endpoint.transport.localAddress!) } == .invalidArgument)
            #expect(errno { try socket.leaveGroup(group, interface: "lo") } == .addressNotAvailable)
            #expect(errno { try socket.setMulticastHops(256) } == .invalidArgument)
            do { try socket.leaveGroup(group, interface: "lo") } catch {
                #expect("\(error)" == "cannot leave the multicast group 239.93.17.1:0: Cannot assign requested address")
            }
            await loop.end(endpoint)
            #expect(code { try socket.joinGroup(group) } == .closed)
        }
    }
}
