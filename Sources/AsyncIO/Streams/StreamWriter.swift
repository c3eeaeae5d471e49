public import AsyncIOSystem

/// The writing half of a connection, for tasks. asyncio: `StreamWriter`.
///
/// A write hands the caller's memory to the kernel and waits while the peer is slow; nothing is buffered in between. Tasks
/// that write at the same time take turns, first come, first served, each with the whole of its bytes. Not `Sendable`; a
/// task that is not on the loop hops there for each call.
public final class StreamWriter {
    /// The connection itself, for what has no function here.
    public let transport: StreamTransport
    private let lifetime: StreamLifetime
    @exclusivity(unchecked) private var isBusy = false
    /// Who waits for a turn.
    @exclusivity(unchecked) private var line: [WaiterToken] = []
    @exclusivity(unchecked) private var binding = TaskBinding()

    init(_ lifetime: StreamLifetime) {
        self.lifetime = lifetime
        transport = lifetime.transport
    }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    public var localAddress: SocketAddress? { transport.localAddress }
    public var peerAddress: SocketAddress? { transport.peerAddress }

    /// Sends all of `bytes`; returns when the kernel has taken them (a completion loop: has or is about to). asyncio: `write` and `drain`.
    ///
    /// Throws a ``WriteError``, which says how many bytes went out before the cancellation or the failure.
    public func write(_ bytes: RawSpan) async throws {
        guard loop.isOnLoop else { return try await hop(bytes, sentBefore: 0, hasTurn: false) }
        var sent = 0
        let hasTurn = !isBusy
        do {
            if hasTurn {
                sent = try bytes.withUnsafeBytes { try transport.sendNow($0) } ?? 0
                if sent == bytes.byteCount { return }
                isBusy = true
            }
            let (isHome, record) = loop.homeRecord(&binding, #isolation)
            guard isHome else { throw NotAtHome() }
            try await sendRest(bytes, &sent, hasTurn: hasTurn, record)
        } catch is NotAtHome {
            try await hop(bytes.extracting(sent...), sentBefore: sent, hasTurn: hasTurn)
        } catch {
            throw WriteError(bytesWritten: sent, underlying: error)
        }
    }

    /// What could not be sent at once, in this writer's turn. At home.
    private func sendRest(_ bytes: RawSpan, _ sent: inout Int, hasTurn: Bool, _ record: TaskRecord?) async throws {
        if !hasTurn { try await beginTurn(record) }
        defer { endTurn() }
        while true {
            sent += try bytes.withUnsafeBytes {
                try transport.sendNow(UnsafeRawBufferPointer(rebasing: $0[sent...])) ?? 0
            }
            if sent == bytes.byteCount { return }
            try await transport.waitUntilWritable(record)
        }
    }

    public func write(_ bytes: [UInt8]) async throws {
        try await write(bytes.span.bytes)
    }

    /// Sends the UTF-8 bytes of `text`.
    public func write(_ text: String) async throws {
        try await write(text.utf8.span.bytes)
    }

    /// Waits for the writers before. A turn is handed over, so that nobody pushes in.
    private func beginTurn(_ record: TaskRecord?) async throws {
        guard isBusy else {
            isBusy = true
            return
        }
        let token = loop.makeWaiter()
        line.append(token)
        let outcome = await loop.suspend(token, record)
        if outcome == .ready { return }
        line.removeAll { $0 == token }
        try loop.check(outcome)
    }

    private func endTurn() {
        while !line.isEmpty {
            let next = line.removeFirst()
            // One that was cancelled may not have left the line yet.
            if loop.isWaiting(next) { return loop.settle(next, .ready) }
        }
        isBusy = false
    }

    /// For a task that is elsewhere. It keeps no memory of another thread's.
    private func hop(_ bytes: RawSpan, sentBefore: Int, hasTurn: Bool) async throws {
        let copy = bytes.withUnsafeBytes { [UInt8]($0) }
        var sent = 0
        do {
            try await loop.hop { try await sendRest(copy.span.bytes, &sent, hasTurn: hasTurn, nil) }
        } catch {
            throw WriteError(bytesWritten: sentBefore + sent, underlying: error)
        }
    }

    /// Ends the writing direction; the peer reads an end, and reading goes on. Idempotent. asyncio: `write_eof`. Any task.
    public func writeEOF() async throws {
        guard loop.isOnLoop else { return try await loop.hop { transport.writeEOF() } }
        transport.writeEOF()
    }

    /// Ends the connection after what was written. Does not wait for that. Idempotent. asyncio: `close`. Any task.
    ///
    /// If there is input that nobody has read, the system tells the peer of a reset, which may cost it the end of what
    /// was written: read to the end first, or ``writeEOF()`` and wait for the peer's end. TCP is so (RFC 2525, 2.17).
    public func close() {
        onLoop { $0.close() }
    }

    /// Ends the connection now. Any task.
    public func abort() {
        onLoop { $0.abort() }
    }

    /// Ends the connection now, and lets the peer know that it was broken off. Any task.
    public func reset() {
        onLoop { $0.reset() }
    }

    /// Now, or soon for a task that is elsewhere.
    private func onLoop(_ body: @escaping @Sendable (StreamTransport) -> Void) {
        if loop.isOnLoop { return body(transport) }
        // SAFETY: used on the loop only.
        nonisolated(unsafe) let transport = transport
        // A closed loop has ended its connections already.
        _ = try? loop.callSoonThreadsafe { body(transport) }
    }

    private struct NotAtHome: Error {}
}

/// A write that did not come to its end.
public struct WriteError: Error, Sendable, CustomStringConvertible {
    /// Bytes of this write that went out before.
    public var bytesWritten: Int
    /// The reason: an `IOError`, an ``EventLoopError`` or a `CancellationError`.
    public var underlying: any Error

    public var description: String {
        underlying is CancellationError
            ? "the write was cancelled after \(bytesWritten) bytes" : "\(underlying) (after \(bytesWritten) bytes)"
    }
}

/// Ends a connection that its reader and writer were dropped from without `close()`. Any thread may be the last to drop.
final class StreamLifetime {
    let transport: StreamTransport
    private let loop: EventLoop
    private let name: SlotName?

    init(_ transport: StreamTransport) {
        self.transport = transport
        loop = transport.loop
        name = transport.driver.name
    }

    deinit {
        if let name { loop.abandonSource(name) }
    }
}
