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

    /// Three listening sockets whose numbers follow each other, as those of a service manager do. They are not
    /// close-on-exec.
    private static func consecutiveSockets() throws -> [Socket] {
        var first: CInt = 700
        while first < 1_000 {
            var sockets: [Socket] = []
            for index in CInt(0)..<3 {
                let socket = try SocketPlace.ipv4.listen().socket
                defer { socket.close() }
                // The lowest free number from there on, so that nothing is replaced that another test has opened.
                let number = fcntl(socket.number, F_DUPFD, first + index)
                if number < 0 { throw Errno.tooManyOpenFiles }
                sockets.append(Socket(number: number))
            }
            if sockets.map(\.number) == [first, first + 1, first + 2] { return sockets }
            for socket in sockets { socket.close() }
            first += 3
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

    @Test(arguments: TestLoop.all)
    func serverListensOnInheritedSockets(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let sockets = try Self.consecutiveSockets()
            let addresses = sockets.compactMap(\.localAddress)
            let variables = Variables(["LISTEN_PID": Self.own, "LISTEN_FDS": "3"])
            var inherited = try InheritedSockets(firstDescriptor: sockets[0].number, takeVariable: variables.take)
            let server = try await loop.createServer(on: .sockets(inherited.take(nil))) { EchoProtocol() }
            #expect(server.localAddresses == addresses)
            for address in addresses {
                try await loop.withConnection(to: .address(address)) { reader, writer in
                    try await writer.write("x")
                    #expect(try await reader.readExactly(1) == Array("x".utf8))
                }
            }
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// Only the first call of a process finds the variables.
    @Test(.startsProcess) func socketsOfTheProcessBeginAtDescriptorThree() async {
        await #expect(processExitsWith: .success) {
            // Afterwards the number is in use, perhaps by another file, which is not used here.
            let (listener, _) = try SocketPlace.ipv4.listen()
            try #require(fcntl(listener.number, F_DUPFD, 3) >= 3)
            let names = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
            for (name, value) in zip(names, ["\(getpid())", "1", "echo"]) { setenv(name, value, 1) }
            #expect(try Endpoint.inherited(name: "other") == nil)
            for name in names { #expect(getenv(name) == nil) }
            #expect(try Endpoint.inherited(name: "echo")?.description == "socket 3")
            #expect(try Endpoint.inherited() == nil)
        }
    }
}
