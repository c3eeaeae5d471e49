public import AsyncIOSystem

/// Ending a server in bounded time.
extension Server {
    /// Closes the server, and waits until its connections have ended. At `deadline`, the tasks of `startServer` that
    /// still run are cancelled, and connections without such a task are aborted. After another 100 ms, in which a task
    /// may send a last message, everything that is left is aborted.
    ///
    /// A cancelled task aborts all connections at once and throws `CancellationError`. Throws what ``waitClosed()``
    /// throws.
    @discardableResult public func shutDown(by deadline: LoopInstant) async throws -> ShutdownReport {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.shutDown") }
        let start = loop.now
        close()
        let openCount = connectionCount
        let ending = ServerEnding(self)
        ending.begin(at: deadline)
        defer { ending.stop() }
        do {
            try await waitClosed()
        } catch {
            if !loop.isClosed { abortClients() }
            throw error
        }
        let (cancelled, aborted) = (ending.cancelledCount, ending.abortedCount)
        return ShutdownReport(
            served: acceptedCount, drained: openCount - cancelled - aborted, cancelled: cancelled, aborted: aborted,
            duration: start.duration(to: loop.now))
    }

    /// As ``shutDown(by:)``, with a time limit that begins now.
    @discardableResult public func shutDown(within time: Duration) async throws -> ShutdownReport {
        try await shutDown(by: loop.now.advanced(by: time))
    }

    /// Shuts down in a new task, because a cancelled one cannot wait.
    func finish(grace: Duration) async throws {
        close()
        if connectionCount == 0 || loop.isClosed { return }
        try await loop.createTask(name: "server shut down", eagerStart: true) { [self] in
            _ = try await shutDown(within: grace)
        }.value
    }
}

/// What a shutdown does to the connections that are open at its deadline.
private final class ServerEnding {
    /// How long a handler may continue after it was cancelled.
    private static let reactionTime = Duration.milliseconds(100)

    private let server: Server
    /// The task that waits for the end, which may be a handler itself.
    private let caller = TaskIdentity.current
    private var timer: TimerHandle?
    private(set) var cancelledCount = 0
    private(set) var abortedCount = 0

    init(_ server: Server) { self.server = server }

    func begin(at deadline: LoopInstant) {
        timer = server.loop.callAt(deadline) { [unowned self] in cancelHandlers() }
    }

    func stop() { timer?.cancel() }

    private func cancelHandlers() {
        let handlers = runningHandlers
        for connection in openConnections {
            if let handler = handlers[ObjectIdentifier(connection)], handler.identity != caller {
                cancelledCount += 1
                handler.requestCancel()
            } else {
                abortedCount += 1
                connection.abort()
            }
        }
        if cancelledCount == 0 { return }
        timer = server.loop.callLater(after: Self.reactionTime) { [unowned self] in abortTheRest() }
    }

    private func abortTheRest() {
        let rest = openConnections
        abortedCount += rest.count
        cancelledCount -= rest.count
        for connection in rest { connection.abort() }
    }

    private var openConnections: [StreamTransport] { server.connections.filter { !$0.state.isLost } }

    private var runningHandlers: [ObjectIdentifier: TaskRecord] {
        var handlers: [ObjectIdentifier: TaskRecord] = [:]
        for record in server.loop.core.pointee.tasks.records {
            if let connection = record.servedConnection { handlers[ObjectIdentifier(connection)] = record }
        }
        return handlers
    }
}
