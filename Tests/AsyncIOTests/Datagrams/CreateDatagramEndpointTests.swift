import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// What an endpoint is bound and connected to.
struct CreateDatagramEndpointTests {
    // covers: 192
    @Test(arguments: TestLoop.all)
    func portIsSharedOnlyIfBothSidesAskForIt(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let first = try await loop.recordDatagrams()
            let address = first.transport.localAddress!
            do {
                let second = try await loop.createDatagramEndpoint(local: .address(address)) { DatagramRecorder() }
                Issue.record("two endpoints have the port of \(second.transport)")
            } catch let error as IOError {
                #expect(error.errno == .addressInUse)
                #expect("\(error)" == "cannot receive datagrams on \(address): Address already in use")
            }
            await loop.end(first)

            let shared = DatagramOptions(reusePort: true)
            let one = try await loop.recordDatagrams(options: shared)
            let other = try await loop.createDatagramEndpoint(
                local: .address(one.transport.localAddress!), options: shared
            ) { DatagramRecorder() }
            #expect(other.transport.localAddress == one.transport.localAddress)
            await loop.end(one, (other.transport, other.protocol))

            let reused = DatagramOptions(socketOptions: [.reuseAddress: 1])
            #expect(await asyncCode { _ = try await loop.recordDatagrams(options: reused) } == .invalidArgument)
        }
    }

    // covers: 193
    @Test(arguments: TestLoop.all)
    func partsThatDoNotFitAreRefusedAndTheSocketIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let loopback = Endpoint.host("127.0.0.1", port: 0)
            func refusal(
                local: Endpoint? = nil, remote: Endpoint? = nil, _ options: DatagramOptions = DatagramOptions()
            ) async -> EventLoopError.Code? {
                await asyncCode {
                    _ = try await loop.createDatagramEndpoint(local: local, remote: remote, options: options) {
                        DatagramRecorder()
                    }
                }
            }
            #expect(await refusal() == .invalidArgument)
            #expect(await refusal(local: loopback, DatagramOptions(family: .ipv6)) == .invalidArgument)
            #expect(await refusal(local: loopback, remote: .host("::1", port: 9)) == .invalidArgument)
            #expect(await refusal(remote: .allInterfaces(port: 9)) == .invalidArgument)
            #expect(await refusal(local: .addresses([])) == .invalidArgument)

            func refusedSocket(
                _ socket: Socket, remote: Endpoint? = nil, _ options: DatagramOptions = DatagramOptions()
            ) async -> Bool {
                let file = OpenFile(socket.descriptor)
                let code = await refusal(local: .socket(socket), remote: remote, options)
                return code == .invalidArgument && file.wasClosed
            }
            let stream = try Socket.stream(.ipv4)
            #expect(await refusedSocket(stream))
            let bound = try Socket.boundDatagram()
            #expect(await refusedSocket(bound, remote: .host("127.0.0.1", port: 9)))
            let shared = try Socket.boundDatagram()
            #expect(await refusedSocket(shared, DatagramOptions(reusePort: true)))
            let ipv4 = try Socket.boundDatagram()
            #expect(await refusedSocket(ipv4, DatagramOptions(family: .ipv6)))

            let remote = try Socket.boundDatagram()
            let file = OpenFile(remote.descriptor)
            #expect(await refusal(local: loopback, remote: .socket(remote)) == .invalidArgument)
            #expect(file.wasClosed)
            let (one, other) = (try Socket.boundDatagram(), try Socket.boundDatagram())
            let files = [OpenFile(one.descriptor), OpenFile(other.descriptor)]
            #expect(await refusal(local: .sockets([one, other])) == .invalidArgument)
            #expect(files.map(\.wasClosed) == [true, true])
        }
    }

    // covers: 193
    @Test(arguments: TestLoop.all)
    func addressThatIsNotOfThisMachineIsAnErrorThatNamesIt(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            do {
                _ = try await loop.recordDatagrams(on: "192.0.2.200")
                Issue.record("bound to an address of another machine")
            } catch let error as IOError {
                #expect(error.errno == .addressNotAvailable)
                #expect(error.address?.host == "192.0.2.200")
            }
        }
    }

    // covers: 194
    @Test(arguments: TestLoop.all)
    func givenSocketBelongsToTheEndpoint(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let socket = try Socket.boundDatagram()
            let file = OpenFile(socket.descriptor)
            let made = try await loop.createDatagramEndpoint(local: .socket(socket)) { DatagramRecorder() }
            #expect(made.transport.socket.descriptor == socket.descriptor)
            #expect(
                await asyncCode {
                    _ = try await loop.createDatagramEndpoint(local: .socket(socket)) { DatagramRecorder() }
                } == .descriptorInUse)
            let client = try await loop.recordDatagrams(to: made.transport.localAddress)
            try client.transport.send("hello")
            await loop.until { !made.protocol.datagrams.isEmpty }
            #expect(made.protocol.texts == ["hello"])
            await loop.end(client, (made.transport, made.protocol))
            #expect(file.wasClosed)
        }
    }

    // covers: 194
    @Test(arguments: TestLoop.all)
    func unixSocketsExchangeDatagramsByTheirPaths(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let addresses = [SocketPlace.newPath(), SocketPlace.newPath()].map { SocketAddress(unixPath: $0)! }
            defer { for address in addresses { address.unlinkFile() } }
            let (server, _) = try await loop.createDatagramEndpoint(local: .address(addresses[0])) { DatagramEcho() }
            let client = try await loop.createDatagramEndpoint(
                local: .address(addresses[1]), remote: .address(addresses[0])
            ) { DatagramRecorder() }
            for text in ["one", "", "three"] { try client.transport.send(text) }
            await loop.until { client.protocol.datagrams.count == 3 }
            #expect(client.protocol.texts == ["one", "", "three"])
            #expect(client.protocol.datagrams[0].address == addresses[0])
            server.close()
            await loop.end((client.transport, client.protocol))
        }
    }

    // covers: 192, 194
    @Test(arguments: TestLoop.all)
    func fileOfAUnixSocketIsReplacedOnlyIfNobodyUsesItAndRemovedAtTheEnd(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let path = SocketPlace.newPath()
            let address = SocketAddress(unixPath: path)!
            defer { address.unlinkFile() }
            // A file that its process has left behind.
            try Socket.boundDatagram(address).close()
            let first = try await loop.createDatagramEndpoint(local: .unix(path)) { DatagramRecorder() }
            #expect(first.transport.localAddress == address)
            do {
                _ = try await loop.createDatagramEndpoint(local: .unix(path)) { DatagramRecorder() }
                Issue.record("two endpoints have one path")
            } catch let error as IOError {
                #expect(error.errno == .addressInUse)
            }
            let client = try await loop.createDatagramEndpoint(remote: .unix(path)) { DatagramRecorder() }
            try client.transport.send("hello")
            await loop.until { !first.protocol.datagrams.isEmpty }
            // The client has no address.
            #expect(first.protocol.datagrams == [Datagram(bytes: Array("hello".utf8))])
            await loop.end((client.transport, client.protocol), (first.transport, first.protocol))
            #expect(access(path, F_OK) != 0)
        }
    }

    // covers: 194
    @Test(arguments: TestLoop.all)
    func broadcastHasToBeAllowed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams(on: "0.0.0.0")
            // Of the loopback network.
            let address = SocketAddress(literal: "127.255.255.255", port: server.transport.localAddress!.port!)!
            let shy = try await loop.recordDatagrams()
            try shy.transport.send("not allowed", to: address)
            await loop.until { !shy.recorder.errors.isEmpty }
            #expect(shy.recorder.errors[0].errno == .permissionDenied)
            let loud = try await loop.recordDatagrams(
                to: address, options: DatagramOptions(allowsBroadcast: true))
            try loud.transport.send("to all")
            await loop.until { !server.recorder.datagrams.isEmpty }
            #expect(server.recorder.texts == ["to all"])
            // It is not connected, so the answer may come from another address.
            try server.transport.send("answer", to: loud.transport.localAddress)
            await loop.until { !loud.recorder.datagrams.isEmpty }
            #expect(loud.recorder.texts == ["answer"])
            #expect(code { try loud.transport.send("x", to: server.transport.localAddress) } == .invalidArgument)
            await loop.end(server, shy, loud)
        }
    }

    @Test(arguments: TestLoop.all)
    func factoryThatThrowsLeavesNoSocket(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let socket = try Socket.boundDatagram()
            let file = OpenFile(socket.descriptor)
            await #expect(throws: DatagramRecorder.ExampleError.self) {
                _ = try await loop.createDatagramEndpoint(local: .socket(socket)) { () throws -> DatagramRecorder in
                    throw DatagramRecorder.ExampleError()
                }
            }
            #expect(file.wasClosed)
        }
    }

    @Test(arguments: TestLoop.all)
    func endpointWithoutAddressesSends(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let client = try await loop.createDatagramEndpoint(options: DatagramOptions(family: .ipv4)) {
                DatagramRecorder()
            }
            try client.transport.send("hello", to: server.transport.localAddress)
            await loop.until { !server.recorder.datagrams.isEmpty }
            try server.transport.send("answer", to: server.recorder.datagrams[0].address)
            await loop.until { !client.protocol.datagrams.isEmpty }
            #expect(client.protocol.texts == ["answer"])
            await loop.end(server, (client.transport, client.protocol))
        }
    }

    /// A proactor that cannot receive messages is only polled.
    @Test func proactorWithoutMessagesIsPolled() async throws {
        let makeLoop: @Sendable () throws -> EventLoop = {
            let proactor = ScriptedProactor(clock: nil)
            proactor.receivesMessages = false
            return try ProactorEventLoop(proactor: proactor)
        }
        try await withLoop(makeLoop: makeLoop) { loop in
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            for number in 0..<100 { try client.transport.send("\(number)") }
            await loop.until { server.recorder.datagrams.count == 100 }
            #expect(server.recorder.texts == (0..<100).map { "\($0)" })
            await loop.end(server, client)
        }
    }
}
