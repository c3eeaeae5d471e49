import AsyncIOSystem
import Testing

@testable import AsyncIO

/// What an endpoint says about itself, and who may use it.
struct EndpointTests {
    private static let sockets = [Socket(number: 901), Socket(number: 902)]
    private static let tooLong = String(repeating: "x", count: 108)
    private static let address = SocketAddress(literal: "127.0.0.1", port: 80)!

    @Test func descriptionNamesWhatTheEndpointContains() {
        #expect("\(Endpoint.host("example.org", port: 80))" == "example.org:80")
        #expect("\(Endpoint.host("::1", port: 80))" == "[::1]:80")
        #expect("\(Endpoint.hosts(["a.example", "b.example"], port: 80))" == "a.example:80, b.example:80")
        #expect("\(Endpoint.allInterfaces(port: 80))" == "port 80 on all interfaces")
        #expect("\(Endpoint.host("", port: 80))" == "port 80 on all interfaces")
        #expect("\(Endpoint.address(Self.address))" == "127.0.0.1:80")
        #expect("\(Endpoint.address(SocketAddress(unixPath: "/run/app.sock")!))" == "/run/app.sock")
        #expect("\(Endpoint.unix("/run/app.sock"))" == "unix:/run/app.sock")
        #expect("\(Endpoint.abstract("app"))" == "abstract:app")
        #expect("\(Endpoint.socket(Self.sockets[0]))" == "socket 901")
        #expect("\(Endpoint.sockets(Self.sockets))" == "socket 901, socket 902")
    }

    @Test func endpointThatNoClientCanConnectToIsRejected() {
        let unusable: [(Endpoint, String)] = [
            (.hosts([], port: 80), "the list of hosts to connect to is empty"),
            (.addresses([]), "the list of addresses to connect to is empty"),
            (.sockets([]), "the list of sockets to connect to is empty"),
            (
                .allInterfaces(port: 80),
                "cannot connect to port 80 on all interfaces: all interfaces are for servers, and a client needs the "
                    + "name of a host"
            ),
            (
                .hosts(["example.org", ""], port: 80),
                "cannot connect to example.org:80, port 80 on all interfaces: all interfaces are for servers, and a "
                    + "client needs the name of a host"
            ),
            (.unix(""), "the path of the unix socket to connect to is empty"),
            (.abstract("a\u{0}b"), "the abstract name of the unix socket to connect to contains a zero byte"),
            (
                .unix(Self.tooLong),
                "the path of the unix socket to connect to has 108 bytes, and at most 107 are possible: "
                    + Self.tooLong
            ),
            (
                .sockets(Self.sockets),
                "cannot connect with socket 901, socket 902: a client needs one socket, not 2"
            ),
        ]
        for (endpoint, reason) in unusable {
            let error = #expect(throws: EventLoopError.self) { try endpoint.checkForClient() }
            #expect(error?.code == .invalidArgument)
            #expect(error?.description == reason)
        }
        let usable: [Endpoint] = [
            .host("example.org", port: 80), .hosts(["a.example", "b.example"], port: 80), .address(Self.address),
            .socket(Self.sockets[0]), .unix(String(Self.tooLong.dropLast())),
            .abstract(String(Self.tooLong.dropLast())),
        ]
        for endpoint in usable { #expect(throws: Never.self) { try endpoint.checkForClient() } }
    }

    @Test func endpointThatNoServerCanListenOnIsRejected() {
        let unusable: [(Endpoint, String)] = [
            (.hosts([], port: 80), "the list of hosts to listen on is empty"),
            (.addresses([]), "the list of addresses to listen on is empty"),
            (.sockets([]), "the list of sockets to listen on is empty"),
            (.abstract(""), "the abstract name of the unix socket to listen on is empty"),
            (
                .sockets([Self.sockets[0], Self.sockets[1], Self.sockets[0]]),
                "the list of sockets to listen on contains a socket twice"
            ),
        ]
        for (endpoint, reason) in unusable {
            let error = #expect(throws: EventLoopError.self) { try endpoint.checkForServer() }
            #expect(error?.code == .invalidArgument)
            #expect(error?.description == reason)
        }
        let usable: [Endpoint] = [
            .host("", port: 80), .hosts(["", "a.example"], port: 80), .addresses([Self.address]),
            .sockets(Self.sockets), .unix("a"), .abstract("a"),
        ]
        for endpoint in usable { #expect(throws: Never.self) { try endpoint.checkForServer() } }
    }
}
