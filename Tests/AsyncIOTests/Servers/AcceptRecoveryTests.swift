import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// A server that ran out of descriptors accepts again as soon as its loop closes one, without waiting for its timer.
struct AcceptRecoveryTests {
    enum Closing: CaseIterable, Sendable {
        case transport, stream, rawSocket, server, socketThatIsRefused

        /// Opens something on the loop, and returns a function that closes it.
        func open(on loop: EventLoop) async throws -> () async throws -> Void {
            switch self {
            case .transport:
                let (near, far) = try Socket.pair()
                let (transport, _) = try await loop.createConnection(to: .socket(near)) { Recorder() }
                return {
                    transport.abort()
                    far.close()
                }
            case .stream:
                let (near, far) = try Socket.pair()
                let (_, writer) = try await loop.openConnection(to: .socket(near))
                return {
                    writer.close()
                    far.close()
                }
            case .rawSocket:
                let socket = try Socket.stream(.ipv4)
                return { try loop.sock.close(socket) }
            case .server:
                let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                return { server.close() }
            case .socketThatIsRefused:
                let socket = try Socket.datagram(.ipv4)
                return { _ = try? await loop.createConnection(to: .socket(socket)) { Recorder() } }
            }
        }
    }

    // covers: 166, F1
    @Test(arguments: TestLoop.allAndFiltered, Closing.allCases)
    func backOffEndsWhenTheLoopClosesADescriptor(kind: TestLoop, closing: Closing) async throws {
        try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let close = try await closing.open(on: loop)
            // Then all servers wait for clients, and a loop that waits for completions has begun to accept.
            for _ in 0..<3 { await loop.yield() }
            var isShort = true
            loop.replaceAccept { accept throws(Errno) in
                if isShort { throw .tooManyOpenFiles }
                return try accept()
            }
            let client = try connect(to: server)
            await loop.until { loop.statistics.unhandledErrors == 1 }
            let start = loop.now
            isShort = false
            // Virtual time does not advance while a task keeps the loop from waiting.
            for _ in 0..<20 { await loop.yield() }
            #expect(server.acceptedCount == 0)
            try await close()
            await loop.until { server.acceptedCount == 1 }
            #expect(loop.now == start)
            client.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// With a real limit of descriptors, in a separate process.
    // covers: 166, F1
    @Test(.startsProcess) func backOffAtTheRealLimitEndsWhenTheLoopClosesAConnection() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            for kind in TestLoop.allAndFiltered {
                try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
                    let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                    let clients = [try Socket.stream(.ipv4), try Socket.stream(.ipv4)]
                    let former = try allowOneMoreDescriptor()
                    for client in clients {
                        _ = try client.connect(to: server.address)
                        waitUntilReadable(try #require(server.sockets[0].descriptor))
                        for _ in 0..<20 { await loop.yield() }
                    }
                    #expect(server.acceptedCount == 1)
                    #expect(loop.statistics.unhandledErrors == 1)
                    let start = loop.now
                    server.abortClients()
                    await loop.until { server.acceptedCount == 2 }
                    #expect(loop.now == start)
                    try setDescriptorLimit(former)
                    for client in clients { client.close() }
                    await loop.until { server.connectionCount == 0 }
                    server.close()
                }
            }
        }
    }

    // covers: 166
    @Test(arguments: TestLoop.allAndFiltered)
    func closedServerNoLongerWaitsForDescriptors(kind: TestLoop) async throws {
        try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            loop.replaceAccept { accept throws(Errno) in throw .tooManyOpenFiles }
            let client = try connect(to: server)
            await loop.until { loop.statistics.unhandledErrors == 1 }
            #expect(loop.core.pointee.lackingDescriptors.count == 1)
            server.close()
            #expect(loop.core.pointee.lackingDescriptors.isEmpty)
            try loop.sock.close(client)
        }
    }
}

/// Connects a client that the server could accept now.
private func connect(to server: Server) throws -> Socket {
    let client = try Socket.stream(.ipv4)
    _ = try client.connect(to: server.address)
    waitUntilReadable(try #require(server.sockets[0].descriptor))
    return client
}

/// Lets the process open one more descriptor than it has open, and returns the former limit. No other thread may open
/// one meanwhile.
private func allowOneMoreDescriptor() throws -> CInt { try setDescriptorLimit(firstFreeDescriptor() + 1) }
