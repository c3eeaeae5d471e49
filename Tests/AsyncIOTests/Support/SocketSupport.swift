import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage

@testable import AsyncIO

/// The address family of a test's sockets.
enum SocketPlace: String, CaseIterable, Sendable {
    case ipv4, ipv6, unix

    /// Whether the system has `::1`, which containers often lack.
    static let hasIPv6: Bool = {
        guard let address = SocketAddress(literal: "::1", port: 0), let socket = try? Socket.stream(for: address) else {
            return false
        }
        defer { socket.close() }
        return (try? socket.bind(to: address)) != nil
    }()
    static let available = allCases.filter { $0 != .ipv6 || hasIPv6 }

    /// Returns a listening socket, and its address.
    func listen(backlog: Int = 10) throws -> (socket: Socket, address: SocketAddress) {
        let address: SocketAddress
        switch self {
        case .ipv4: address = SocketAddress(literal: "127.0.0.1", port: 0)!
        case .ipv6: address = SocketAddress(literal: "::1", port: 0)!
        case .unix: address = SocketAddress(unixPath: Self.newPath())!
        }
        let socket = try Socket.stream(address.family)
        try socket.bind(to: address)
        try socket.listen(backlog: backlog)
        return (socket, socket.localAddress!)
    }

    /// Returns a path that no file has.
    static func newPath() -> String { "/tmp/asyncio-\(getpid())-\(UInt64.random(in: 0 ... .max)).socket" }
}

extension SocketAddress {
    /// Removes the file of a unix socket.
    func unlinkFile() {
        if family == .unix { _ = unlink(host) }
    }
}

extension EventLoop {
    /// Returns two connected sockets of a new connection.
    func connectedSockets(_ place: SocketPlace = .ipv4) async throws -> (client: Socket, server: Socket) {
        let (listener, address) = try place.listen()
        defer {
            listener.close()
            address.unlinkFile()
        }
        let client = try Socket.stream(address.family)
        try await sock.connect(client, to: address)
        return (client, try await sock.accept(listener).socket)
    }

    /// Runs the loop until a task waits for `socket`, or the waiting task is gone.
    func untilWatched(_ count: Int = 1) async {
        await until { statistics.sources == count }
    }
}

extension StreamWriter {
    /// Writes bytes to a connection that fails. A loop that waits for completions accepts some of them before it learns
    /// of the failure.
    func writeUntilItFails() async throws {
        for _ in 0..<100 {
            try await write("x")
            await transport.loop.yield()
        }
    }
}

extension Socket {
    /// Whether no child process inherits the socket.
    var closesOnExec: Bool { fcntl(number, F_GETFD) & FD_CLOEXEC != 0 }

    /// Binds the socket, unless the address is in use.
    func bindIfFree(to address: SocketAddress) throws -> Bool {
        do {
            try bind(to: address)
            return true
        } catch .addressInUse {
            return false
        }
    }
}

/// Calls `body` with two connected sockets, and closes them.
func withSockets<Result>(_ body: (Socket, Socket) async throws -> Result) async throws -> Result {
    let (end, peer) = try Socket.pair()
    defer {
        end.close()
        peer.close()
    }
    return try await body(end, peer)
}

/// Calls `body` with a loop in virtual time, which the test runs itself, and two connected sockets, and closes them.
func withVirtualPair(
    _ kind: TestLoop, _ body: @escaping @Sendable (EventLoop, Socket, Socket) throws -> Void
) async throws {
    try await withVirtualLoopThread(kind) { loop in
        let (end, peer) = try Socket.pair()
        defer {
            end.close()
            peer.close()
        }
        try body(loop, end, peer)
    }
}

/// Makes the peer readable.
func sendByte(_ socket: Socket) {
    let sent = [UInt8(1)].withUnsafeBytes { socket.send($0) }
    guard case .bytes(1) = sent else { preconditionFailure("the socket takes nothing") }
}

/// Blocks until there is something to read, or a connection to accept, because data or a connection may arrive with a
/// delay.
func waitUntilReadable(_ descriptor: FileDescriptor) {
    var entry = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    while poll(&entry, 1, -1) <= 0 {}
}

/// Repeats `condition` on this thread until it is true, and returns whether that happened within ten seconds. No loop
/// and no ring of the thread runs meanwhile.
///
/// For a file that must have been released by now. A loop or a ring that holds it does so until it runs again. Others
/// can hold it for a moment: a child process that is starting, and a system call on a number that another test has
/// closed and still uses, if the file has got that number.
func becomesTrue(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while try !condition() {
        if ContinuousClock.now > deadline { return false }
        poll(nil, 0, 1)
    }
    return true
}

/// Returns whether nobody holds the other end of a connection any more.
func isHungUp(_ socket: Socket) -> Bool {
    var entry = pollfd(fd: socket.number, events: 0, revents: 0)
    return poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLHUP) != 0
}

/// A listener whose queue is full, so that clients have to wait.
final class FullListener {
    let socket: Socket
    let address: SocketAddress
    private var fillers: [Socket] = []

    init() throws {
        (socket, address) = try SocketPlace.ipv4.listen(backlog: 0)
        // One more than the queue has room for; the last connection remains pending.
        for _ in 0..<3 {
            let filler = try Socket.stream(.ipv4)
            fillers.append(filler)
            _ = try filler.connect(to: address)
        }
        // On a busy machine a later client may be first.
        waitUntilReadable(socket.descriptor)
    }

    /// Makes room for all clients. With room for one, the kernel would choose which one.
    func makeRoom() throws {
        try socket.listen(backlog: 16)
        while let (accepted, _) = try socket.accept() { accepted.close() }
    }

    func close() {
        for filler in fillers { filler.close() }
        socket.close()
    }
}
