extension StreamTransport {
    /// Puts `filter` between the connection and its descriptor, above filters that are there already.
    ///
    /// Waits until everything that was written before is sent, which the filter does not encode, and until the filter
    /// is established. Received bytes that no consumer has read are decoded, except a `StreamReader`'s look-ahead.
    /// Throws what the filter throws, `.timedOut` as an `IOError` after its ``StreamFilter/establishmentTimeout``, and
    /// why the connection has ended. In a cancelled task it throws `CancellationError`, and the connection is aborted
    /// if the filter was not established.
    ///
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`.
    public func addFilter(_ filter: any StreamFilter) async throws {
        try await betweenWrites("StreamTransport.addFilter") { record in
            let base = driver
            base.stopReading()
            let filtered = FilterStreamDriver(over: base, filter, on: loop)
            replaceDriver(by: filtered)
            do {
                try await filtered.start(record)
            } catch {
                // The peer and this side no longer agree on the encoding.
                if error is CancellationError { abort() } else if state.life == .open { end(with: error) }
                throw error
            }
            if isReceiving { filtered.startReading() }
        }
    }

    /// Removes the filter that was added last, after everything that was written before is sent.
    ///
    /// What it has received and not consumed is received without it. Throws `.invalidArgument` if there is no filter,
    /// and why the connection has ended.
    ///
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`.
    public func removeFilter() async throws {
        try await betweenWrites("StreamTransport.removeFilter") { _ in
            var candidate = driver
            // A driver whose filter was removed stays while it retains bytes.
            while let former = candidate as? FilterStreamDriver, former.filter == nil { candidate = former.base }
            guard let filtered = candidate as? FilterStreamDriver else {
                throw EventLoopError(.invalidArgument, "the connection has no filter to remove")
            }
            filtered.removeFilter()
        }
    }

    /// Calls `body` when everything that was written before is sent, and while no task writes.
    private func betweenWrites(
        _ function: StaticString, _ body: nonisolated(nonsending) (TaskRecord?) async throws -> Void
    ) async throws {
        guard loop.isOnLoop else { throw EventLoopError.wrongThread(function) }
        try await loop.withAffinity { record in
            try await beginWrite(record)
            defer { endWrite() }
            try await waitUntilFlushed(record)
            if state.life != .open { throw endError }
            try await body(record)
        }
    }

    private var isReceiving: Bool { state.reading == .active && (isPush || state.life == .lingering) }
}
