public import AsyncIOSystem

/// A server: it listens and accepts connections until ``close()``, even if nothing refers to it. asyncio: `Server`.
/// - Thread: the loop's.
public final class Server: CustomStringConvertible {
    public let loop: EventLoop
    private var addresses: [SocketAddress] = []
    let connectionOrigin: ConnectionOrigin
    private(set) var listeners: [Listener] = []
    private var closingWaiters: [WaiterToken] = []
    private var hasStarted = false
    private var isClosed = false
    private var isServedForever = false

    init(loop: EventLoop, origin: CallSite) {
        self.loop = loop
        connectionOrigin = ConnectionOrigin(origin)
        connectionOrigin.allEnded = { [weak self] in self?.wakeIfDone() }
    }

    /// Stops accepting while there are as many connections, so that further clients wait in the kernel's queue.
    func limitConnections(to limit: Int) {
        connectionOrigin.limit = limit
        connectionOrigin.limitCrossed = { [weak self] in
            guard let self else { return }
            for listener in listeners { listener.isFull = connectionOrigin.isFull }
        }
    }

    func add(_ listener: Listener) {
        listeners.append(listener)
        if let address = listener.localAddress { addresses.append(address) }
    }

    /// Begins to accept connections, which is needed only if ``ServerOptions/startsServing`` is false. Idempotent.
    /// asyncio: `start_serving`.
    ///
    /// Throws an `IOError` with the address, and `.closed`. After an error, no address accepts connections, and it may
    /// be called again.
    public func startServing() throws {
        loop.requireOnLoop("Server.startServing")
        if isClosed { throw EventLoopError(.closed, "the server is closed") }
        if loop.isClosed { throw EventLoopError.closed }
        if hasStarted { return }
        for listener in listeners {
            do {
                try listener.start()
            } catch {
                for started in listeners { started.driver.stop() }
                throw IOError(error, operation: "listen on", address: listener.localAddress)
            }
        }
        hasStarted = true
    }

    /// The addresses that the server listens on, with the ports that the system chose.
    public var localAddresses: [SocketAddress] {
        loop.requireOnLoop("Server.localAddresses")
        return addresses
    }

    /// The number of connections that the server has accepted.
    public var acceptedCount: Int {
        loop.requireOnLoop("Server.acceptedCount")
        return connectionOrigin.openedCount
    }

    /// The number of its connections that are open.
    public var connectionCount: Int {
        loop.requireOnLoop("Server.connectionCount")
        return connectionOrigin.openCount
    }

    /// Whether the server accepts connections. asyncio: `is_serving`.
    public var isServing: Bool {
        loop.requireOnLoop("Server.isServing")
        return !isClosed && hasStarted && !loop.isClosed
    }

    /// The sockets that it listens on; none after it was closed. asyncio: `sockets`.
    public var sockets: [TransportSocket] {
        loop.requireOnLoop("Server.sockets")
        return listeners.map { TransportSocket(owner: $0) }
    }

    /// Stops listening. Open connections stay open. Idempotent. asyncio: `close`.
    public func close() {
        loop.requireOnLoop("Server.close")
        guard !isClosed else { return }
        isClosed = true
        let former = listeners
        listeners = []
        for listener in former { listener.close() }
        wakeIfDone()
    }

    /// Suspends until the server is closed *and* its last connection has ended, however long clients stay connected.
    /// asyncio: `wait_closed`, as since 3.12.
    ///
    /// Throws `CancellationError`, `.closed`, and `.wrongThread` on another thread than the loop's.
    public func waitClosed() async throws {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.waitClosed") }
        try await loop.withAffinity { record in
            while !isDone {
                if loop.isClosed { throw EventLoopError.closed }
                let token = loop.makeWaiter()
                closingWaiters.append(token)
                let outcome = await loop.suspend(token, record)
                closingWaiters.removeAll { $0 == token }
                try loop.check(outcome)
            }
        }
    }

    /// Closes every open connection, after its write buffer and the write that its handler has begun were sent. A
    /// client that does not read stays connected until nothing could be sent for a minute. asyncio: `close_clients`.
    public func closeClients() {
        loop.requireOnLoop("Server.closeClients")
        for connection in connections { connection.close() }
    }

    /// Aborts every open connection. asyncio: `abort_clients`.
    public func abortClients() {
        loop.requireOnLoop("Server.abortClients")
        for listener in listeners { listener.abortEstablishing() }
        for connection in connections { connection.abort() }
    }

    /// Found through the loop, because a list that is needed only here would cost memory for each connection.
    var connections: [StreamTransport] {
        loop.core.pointee.sources.ids.compactMap { id in
            let driver = loop.core.pointee.sources[id]?.pointee as? StreamDriver
            guard let transport = driver?.delegate as? StreamTransport else { return nil }
            return transport.connectionOrigin === connectionOrigin ? transport : nil
        }
    }

    private var isDone: Bool { isClosed && connectionOrigin.openCount == 0 }

    private func wakeIfDone() {
        guard isDone else { return }
        for token in closingWaiters { loop.settle(token, .ready) }
    }

    /// The addresses and the state, such as `<Server 127.0.0.1:8888, serving, 3 connections>`.
    public var description: String {
        let addresses = addresses.map(\.description).joined(separator: ", ")
        guard loop.isOnLoop else { return "<Server \(addresses), on another thread's loop>" }
        let count = connectionCount
        let state = isServing ? "serving" : sockets.isEmpty ? "closed" : "not serving"
        return "<Server \(addresses), \(state), \(count) \(count == 1 ? "connection" : "connections")>"
    }
}

extension Server {
    /// Accepts connections until the server is closed. asyncio: `serve_forever`.
    ///
    /// Returns when ``close()`` was called and the last connection has ended. When its task is cancelled, it closes the
    /// server as ``shutDown(within:)`` does, with `grace` as the limit (asyncio waits without one), and throws
    /// `CancellationError`. Throws `.busy` while another task is in this function, `.closed`, and `.wrongThread`.
    public func serveForever(shutDownWithin grace: Duration = .seconds(1)) async throws {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.serveForever") }
        if isServedForever {
            throw EventLoopError(.busy, "another task is already running serveForever() of this server")
        }
        try startServing()
        isServedForever = true
        defer { isServedForever = false }
        do {
            try await waitClosed()
        } catch let error as CancellationError {
            try await finish(grace: grace)
            throw error
        }
    }

    /// Calls `body` and then ``shutDown(within:)``, even if it throws or is cancelled. asyncio: `async with server`.
    public func withServing<Result>(
        shutDownWithin grace: Duration = .seconds(1), _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.withServing") }
        try startServing()
        let result: Result
        do {
            result = try await loop.withAffinity { _ in try await callBody(body) }
        } catch {
            try? await finish(grace: grace)
            throw error
        }
        try await finish(grace: grace)
        return result
    }
}

@available(*, unavailable, message: "a server belongs to its loop; use it in callbacks and tasks of the loop")
extension Server: Sendable {}
