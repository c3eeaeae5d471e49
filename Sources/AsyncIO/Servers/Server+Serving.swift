public import AsyncIOSystem

/// Serving until the end, and the end within bounds.
extension Server {
    /// Accepts connections until the server is closed. asyncio: `serve_forever`.
    ///
    /// Returns when somebody has called ``close()`` and the last connection has ended. When its task is cancelled, it closes
    /// the server, gives its connections `grace` to end, aborts those that do not, and throws `CancellationError`. (asyncio
    /// waits for them without a bound.) Throws `.busy` while another task is in it, `.closed`, `.wrongThread`.
    public func serveForever(grace: Duration = .seconds(1)) async throws {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.serveForever") }
        if isServedForever {
            throw EventLoopError(.busy, "another task is already in serveForever() of this server")
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

    /// Calls `body`, then closes the server, gives its connections `grace` to end and aborts those that do not; also when
    /// `body` throws or its task is cancelled. asyncio: `async with server`.
    public func whileServing<Result>(
        grace: Duration = .seconds(1), _ body: @concurrent () async throws -> Result
    ) async throws -> Result {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.whileServing") }
        try startServing()
        let result: Result
        do {
            result = try await loop.atHome { _ in try await callBody(body) }
        } catch {
            try? await finish(grace: grace)
            throw error
        }
        try await finish(grace: grace)
        return result
    }

    /// Stops listening, lets open connections end until `deadline`, and aborts those that have not. How many those were.
    ///
    /// Cancelled, it aborts them at once and throws `CancellationError`. Throws as ``waitClosed()``.
    @discardableResult
    public func drain(deadline: LoopInstant) async throws -> Int {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.drain") }
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

    /// As `drain(deadline:)`, from now on.
    @discardableResult
    public func drain(within time: Duration) async throws -> Int {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread("Server.drain") }
        return try await drain(deadline: loop.now.advanced(by: time))
    }

    /// Drains in a task of its own, since a cancelled one cannot wait.
    private func finish(grace: Duration) async throws {
        close()
        if connectionCount == 0 || loop.isClosed { return }
        try await loop.createTask(name: "server drain", eagerStart: true) { [self] in
            _ = try await drain(within: grace)
        }.value
    }
}
