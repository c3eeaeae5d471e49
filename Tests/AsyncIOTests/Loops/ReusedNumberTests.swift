import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Descriptors that are closed while the kernel still has operations on them, or has not seen them yet: the file is
/// closed at once, and the next file with the number is not affected.
///
/// Serialized, because a number that one of them has closed must not become that of another one.
@Suite(.serialized) struct ReusedNumberTests {
    // covers: 337
    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [false, true])
    func portIsFreeAsSoonAsItsServerIsClosed(kind: TestLoop, hasWaited: Bool) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let address = server.address
            if hasWaited { for _ in 0..<3 { await loop.yield() } }
            server.close()
            let next = try Socket.stream(.ipv4)
            try next.setOption(.reuseAddress, to: 1)
            #expect(try becomesTrue { try next.bindIfFree(to: address) })
            try next.listen(backlog: 1)
            next.close()
        }
    }

    // covers: 337
    @Test(arguments: TestLoop.all, [false, true])
    func listenerWithTheNumberOfAClosedOneGetsItsClients(kind: TestLoop, hasWaited: Bool) async throws {
        try await withLoop(kind) { loop in
            let first = try SocketPlace.ipv4.listen().socket.moved()
            let closed = try await loop.createServer(on: .socket(first)) { EchoProtocol() }
            if hasWaited { for _ in 0..<3 { await loop.yield() } }
            closed.close()
            let (second, address) = try SocketPlace.ipv4.listen()
            let reused = try #require(try second.moved(to: first.number))
            // Waits already when the accept begins.
            let client = try Socket.stream(.ipv4)
            _ = try client.connect(to: address)
            let server = try await loop.createServer(on: .socket(reused)) { EchoProtocol() }
            try await loop.sock.sendAll(client, Array("hello".utf8))
            #expect(try await loop.sock.recv(client, maxBytes: 10) == Array("hello".utf8))
            try loop.sock.close(client)
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 337
    @Test(arguments: TestLoop.all, [false, true])
    func socketWithTheNumberOfACancelledConnectConnectsWhereItWants(kind: TestLoop, hasWaited: Bool) async throws {
        try await withLoop(kind) { loop in
            let full = try FullListener()
            let (listener, address) = try SocketPlace.ipv4.listen()
            let first = try Socket.stream(.ipv4).moved()
            let connecting = loop.createTask { try await loop.sock.connect(first, to: full.address) }
            if hasWaited { for _ in 0..<3 { await loop.yield() } }
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await connecting.value }
            try loop.sock.close(first)
            let second = try #require(try Socket.stream(.ipv4).moved(to: first.number))
            try await loop.sock.connect(second, to: address)
            #expect(second.peerAddress == address)
            try loop.sock.close(second)
            listener.close()
            full.close()
        }
    }

    // covers: 337
    @Test(arguments: TestLoop.all)
    func connectThatIsCancelledBeforeItBeginsLeavesTheNumberAlone(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let full = try FullListener()
            let (listener, address) = try SocketPlace.ipv4.listen()
            let first = try Socket.stream(.ipv4).moved()
            let second = SocketPlaceholder()
            let connecting = loop.createTask {
                // Cancelled already, so all this happens in one iteration.
                try? await loop.sock.connect(first, to: full.address)
                try loop.sock.close(first)
                second.socket = try Socket.stream(.ipv4).moved(to: first.number)
            }
            connecting.cancel()
            try await connecting.value
            let socket = try #require(second.socket)
            for _ in 0..<3 { await loop.yield() }
            try await loop.sock.connect(socket, to: address)
            #expect(socket.peerAddress == address)
            try loop.sock.close(socket)
            listener.close()
            full.close()
        }
    }

    // covers: 337
    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [false, true])
    func removedReaderHoldsNoFile(kind: TestLoop, hasWaited: Bool) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            try loop.addReader(near.descriptor) {}
            if hasWaited { for _ in 0..<3 { await loop.yield() } }
            loop.removeReader(near.descriptor)
            near.close()
            #expect(becomesTrue { isHungUp(far) })
            far.close()
        }
    }
}

/// A socket that a task hands over to the test.
private final class SocketPlaceholder: @unchecked Sendable {
    var socket: Socket?
}

extension Socket {
    /// Gives the socket a number that no other test uses: much higher than the lowest free one, or the given one.
    /// Returns `nil` if that is in use.
    fileprivate func moved(to number: CInt) throws -> Socket? {
        let moved = fcntl(self.number, F_DUPFD_CLOEXEC, number)
        close()
        if moved == number { return Socket(number: moved) }
        _ = aio_close(moved)
        return nil
    }

    fileprivate func moved() throws -> Socket {
        let moved = fcntl(number, F_DUPFD_CLOEXEC, 900)
        close()
        if moved < 0 { throw Errno(rawValue: errno) }
        return Socket(number: moved)
    }
}
