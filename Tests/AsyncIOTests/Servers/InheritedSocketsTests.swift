import AsyncIOSystem
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Sockets that a service manager passes.
struct InheritedSocketsTests {
    /// The variables of a process, which are removed when they are read.
    private final class Variables {
        var values: [String: String]

        init(_ values: [String: String]) { self.values = values }

        func take(_ name: String) -> String? { values.removeValue(forKey: name) }
    }

    private static let own = "\(getpid())"

    /// Three listening sockets whose numbers follow each other, as those of a service manager do.
    private static func consecutiveSockets() throws -> [Socket] {
        // Far above what the process uses.
        for first in stride(from: CInt(700), to: 1_000, by: 10) {
            guard (first..<first + 3).allSatisfy({ fcntl($0, F_GETFD) < 0 }) else { continue }
            return try (CInt(0)..<3).map { index in
                let socket = try SocketPlace.ipv4.listen().socket
                defer { socket.close() }
                // Without close-on-exec.
                try #require(dup2(socket.number, first + index) == first + index)
                return Socket(number: first + index)
            }
        }
        throw Errno.tooManyOpenFiles
    }

    @Test func socketsAreReturnedByNameAndOnce() throws {
        let sockets = try Self.consecutiveSockets()
        defer { for socket in sockets { socket.close() } }
        let variables = Variables(["LISTEN_PID": Self.own, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "http:admin:http"])
        var inherited = try InheritedSockets(firstDescriptor: sockets[0].number, takeVariable: variables.take)
        #expect(variables.values.isEmpty)
        for socket in sockets { #expect(socket.closesOnExec) }
        #expect(inherited.take("none") == [])
        #expect(inherited.take("http") == [sockets[0], sockets[2]])
        #expect(inherited.take("http") == [])
        #expect(inherited.take(nil) == [sockets[1]])
        #expect(inherited.take(nil) == [])
    }

    @Test func socketsWithoutNamesAreUnknown() throws {
        let sockets = try Self.consecutiveSockets()
        defer { for socket in sockets { socket.close() } }
        let variables = Variables(["LISTEN_PID": Self.own, "LISTEN_FDS": "2"])
        var inherited = try InheritedSockets(firstDescriptor: sockets[0].number, takeVariable: variables.take)
        #expect(inherited.take("unknown") == Array(sockets.prefix(2)))
        #expect(!sockets[2].closesOnExec)
    }

    @Test func variablesOfAnotherProcessAreIgnoredAndRemoved() throws {
        for variables in [
            Variables(["LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"]), Variables(["LISTEN_FDS": "1"]),
            Variables(["LISTEN_PID": "not a number", "LISTEN_FDS": "1"]), Variables(["LISTEN_PID": Self.own]),
            Variables([:]), Variables(["LISTEN_PID": Self.own, "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""]),
        ] {
            var inherited = try InheritedSockets(firstDescriptor: 999_999, takeVariable: variables.take)
            #expect(inherited.take(nil) == [])
            #expect(variables.values.isEmpty)
        }
    }

    @Test func contradictoryVariablesAreErrors() throws {
        let sockets = try Self.consecutiveSockets()
        defer { for socket in sockets { socket.close() } }
        for (count, names, reason) in [
            ("x", nil, "LISTEN_FDS is not a number: 'x'"), ("-1", nil, "LISTEN_FDS is not a number: '-1'"),
            ("99999999999999999999", nil, "LISTEN_FDS is not a number"), ("2147483647", nil, "LISTEN_FDS is not"),
            ("2", "a", "LISTEN_FDNAMES contains 1 names for 2 descriptors"),
            ("1", "a:b", "LISTEN_FDNAMES contains 2 names for 1 descriptors"),
        ] as [(String, String?, String)] {
            let variables = Variables(["LISTEN_PID": Self.own, "LISTEN_FDS": count])
            variables.values["LISTEN_FDNAMES"] = names
            let error = #expect(throws: EventLoopError.self) {
                _ = try InheritedSockets(firstDescriptor: sockets[0].number, takeVariable: variables.take)
            }
            #expect(error?.code == .invalidArgument && error?.description.contains(reason) == true)
            #expect(variables.values.isEmpty)
        }
        let variables = Variables(["LISTEN_PID": Self.own, "LISTEN_FDS": "1000000"])
        let error = #expect(throws: IOError.self) {
            _ = try InheritedSockets(firstDescriptor: sockets[0].number, takeVariable: variables.take)
        }
        #expect(error?.errno == .badFileDescriptor)
        #expect(error?.description.contains(" of LISTEN_FDS") == true)
    }

    /// In a process whose descriptor 3 is a listening socket, as after an exec by a service manager.
    @Test(.startsProcess) func serverListensOnAnInheritedSocket() async {
        await #expect(processExitsWith: .success) {
            let (listener, address) = try SocketPlace.ipv4.listen()
            // The number belongs to the test library, and is returned before anything is expected.
            let former = dup(3)
            try #require(dup2(listener.number, 3) == 3)
            listener.close()
            let names = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
            for (name, value) in zip(names, ["\(getpid())", "1", "echo"]) { setenv(name, value, 1) }
            let other = try Endpoint.inherited(name: "other")
            let remaining = names.filter { getenv($0) != nil }
            let endpoint = try Endpoint.inherited(name: "echo")
            let rest = try Endpoint.inherited()
            var addresses: [SocketAddress] = []
            var answer: [UInt8] = []
            if let endpoint {
                (addresses, answer) = try await withLoop(TestLoop.all[0]) { loop in
                    let server = try await loop.createServer(on: endpoint) { EchoProtocol() }
                    let answer = try await loop.withConnection(to: .address(address)) { reader, writer in
                        try await writer.write("x")
                        return try await reader.readExactly(1)
                    }
                    let addresses = server.localAddresses
                    try await server.shutDown(within: .seconds(5))
                    return (addresses, answer)
                }
            }
            if former >= 0 { dup2(former, 3) }
            #expect(other == nil && rest == nil && remaining.isEmpty)
            #expect(endpoint?.description == "socket 3")
            #expect(addresses == [address] && answer == Array("x".utf8))
        }
    }
}
