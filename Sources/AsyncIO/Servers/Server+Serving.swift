public import AsyncIOSystem

/// Serving until the server is closed, and closing it within a time limit.
extension Server {
    /// Accepts connections until the server is closed. asyncio: `serve_forever`.
    ///
    /// Returns when ``close()`` was called and the last connection has ended. When its task is cancelled, it closes the
    /// server, gives its connections `grace` to end, aborts those that have not ended, and throws `CancellationError`.
    /// (asyncio waits for them without a limit.) Throws `.busy` while another task is in this function, `.closed`, and
    /// `.wrongThread`.
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

    /// Calls `body`, then closes the server, gives its connections `grace` to end and aborts those that have not ended.
    /// It does so too if `body` throws or its task is cancelled. asyncio: `async with server`.
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

    /// Closes the server, waits for its connections until `deadline`, and aborts those that are still open.
    ///
    /// A cancelled task aborts them at once and throws `CancellationError`. Throws what ``waitClosed()`` throws.
    ///
    /// - Returns: The number of connections that were aborted.
    @discardableResult
    public func shutDown(by deadline: LoopInstant) async throws -> Int {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.shutDown") }
        close()
        var aborted = 0
        let timer = loop.callAt(deadline) { [self] in
            aborted = connectionCount
            abortClients()
        }
        defer { timer.cancel() }
        do {
            try await waitClosed()
        } catch {
            if !loop.isClosed { abortClients() }
            throw error
        }
        return aborted
    }

    /// Closes the server, gives its connections `time` to end, and aborts those that are still open, as
    /// ``shutDown(by:)`` does.
    @discardableResult
    public func shutDown(within time: Duration) async throws -> Int {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.shutDown") }
        return try await shutDown(by: loop.now.advanced(by: time))
    }

    /// Shuts down in a new task, because a cancelled one cannot wait.
    private func finish(grace: Duration) async throws {
        close()
        if connectionCount == 0 || loop.isClosed { return }
        try await loop.createTask(name: "server shut down", eagerStart: true) { [self] in
            _ = try await shutDown(within: grace)
        }.value
    }
}
