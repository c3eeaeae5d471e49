import AsyncIO
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

/// The process at the other end of a unix connection.
struct PeerCredentialsTests {
    private static let own = PeerCredentials(processID: getpid(), userID: geteuid(), groupID: getegid())

    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func bothEndsKnowEachOther(kind: TestLoop, isAbstract: Bool) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let endpoint: Endpoint = isAbstract ? .abstract(newAbstractName()) : .unix(directory.file())
            var seen: [PeerCredentials?] = []
            let server = try await loop.startServer(on: endpoint) { reader, writer in
                seen = [writer.peerCredentials, writer.transport.socket.peerCredentials]
                _ = try await reader.readLine()
            }
            #expect(server.sockets[0].peerCredentials == nil)
            let (_, writer) = try await loop.openConnection(to: endpoint)
            #expect(writer.peerCredentials == Self.own)
            #expect(writer.transport.socket.peerCredentials == Self.own)
            await loop.until { !seen.isEmpty }
            #expect(seen == [Self.own, Self.own])
            writer.close()
            try await writer.waitClosed()
            #expect(writer.peerCredentials == nil)
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// The system would return the numbers of nobody.
    @Test(arguments: TestLoop.all)
    func otherConnectionsHaveNone(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withEchoConnection(on: loop) { _, writer in
                #expect(writer.peerCredentials == nil)
            }
            let socket = try Socket.stream(.unix)
            #expect(socket.peerCredentials == nil)
            socket.close()
            #expect(socket.peerCredentials == nil)
        }
    }

    @Test(arguments: TestLoop.all)
    func pairHasThoseOfItsCreator(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (transport, _) = try await loop.createConnection(to: .socket(near)) { Recorder() }
            // Also after the peer has gone.
            far.close()
            #expect(transport.socket.peerCredentials == Self.own)
            transport.close()
        }
    }
}
