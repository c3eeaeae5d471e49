import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

struct TransportSocketTests {
    // covers: 173, 174
    @Test(arguments: TestLoop.allAndFiltered)
    func socketOfATransportIsUsableUntilItIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let recorder = Recorder()
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (transport, _) = try await loop.createConnection(host: "127.0.0.1", port: server.port) { Recorder() }
            await loop.until { recorder.transport != nil }
            let accepted = try #require(recorder.transport)
            for end in [transport, accepted] {
                let socket = end.socket
                #expect(try socket.option(.noDelay) != 0)
                try socket.setOption(.noDelay, to: 0)
                #expect(try socket.option(.noDelay) == 0)
                let raw = Socket(number: try #require(socket.descriptor).rawValue)
                #expect(try raw.isNonBlocking() && raw.closesOnExec)
                #expect(throws: IOError.self) { try socket.option(SocketOption(level: 12345, name: 1)) }
                #expect(socket.localAddress == end.localAddress)
                #expect(end.canWriteEOF)
            }
            #expect(transport.peerAddress == accepted.localAddress)
            let (address, peer) = (transport.localAddress, transport.peerAddress)
            let socket = transport.socket
            transport.close()
            await loop.until { socket.descriptor == nil }
            let error = #expect(throws: EventLoopError.self) { try socket.option(.noDelay) }
            #expect(error?.code == .closed)
            #expect(transport.socket.localAddress == address)
            #expect(transport.localAddress == address && transport.peerAddress == peer)
            await loop.until { server.connectionCount == 0 }
            #expect(accepted.peerAddress == address)
            #expect(server.sockets.count == 1)
            let listening = server.sockets[0]
            #expect(listening.localAddress == server.localAddresses[0])
            #expect(try listening.option(.reuseAddress) != 0)
            server.close()
            #expect(server.sockets.isEmpty && listening.descriptor == nil)
            #expect(server.localAddresses == [listening.localAddress])
        }
    }
}
