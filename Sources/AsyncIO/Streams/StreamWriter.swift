public import AsyncIOSystem
import Synchronization

/// The writing half of a connection, for tasks. asyncio: `StreamWriter`.
///
/// A write hands the caller's memory to the kernel and waits while the peer is slow; nothing is buffered in between. Tasks
/// that write at the same time take turns, first come, first served, each with the whole of its bytes. Not `Sendable`; a
/// task that is not on the loop hops there for each call.
public final class StreamWriter {
    /// The connection itself, for what has no function here.
    public let transport: StreamTransport
    @exclusivity(unchecked) private var binding = TaskBinding()

    init(_ transport: StreamTransport) {
        self.transport = transport
        transport.retainStreams()
    }

    deinit {
        transport.releaseStreams()
    }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    public var localAddress: SocketAddress? { transport.localAddress }
    public var peerAddress: SocketAddress? { transport.peerAddress }

    /// How many bytes the writes of this connection's tasks have sent so far, those of a write that was cut off
    /// included.
    ///
    /// The difference from before a write says how much of it went out when it was cancelled, timed out or failed. A
    /// completion loop counts up to 64 KiB that it has taken over and not sent yet.
    /// - Thread: any.
    public var bytesWritten: Int { transport.writtenBytes.load(ordering: .relaxed) }

    /// Sends all of `bytes`; returns when the kernel has taken them (a completion loop: has or is about to). asyncio: `write` and `drain`.
    ///
    /// Throws `CancellationError` in a cancelled task that would have to wait, an `IOError` or `.closed` when the
    /// connection has ended. ``bytesWritten`` says how much was sent before.
    ///
    /// A write that ends so after some of its bytes were sent is *cut off*. What was sent next would be taken for the
    /// rest of it, so writes that wait and all later ones throw `.incompleteWrite`, and the connection can only be
    /// reset: by ``close()``, ``closeGracefully(within:discardingAtMost:)``, by the return of its handler, or when
    /// nobody holds its streams. Reading goes on until then.
    @inlinable
    public func write(_ bytes: RawSpan) async throws {
        // The part that needs no wait is not async, and costs the caller no frame.
        let start = try begin(bytes)
        if start.isDone { return }
        try await goOn(bytes, start)
    }

    /// What a write has done before it waits.
    @usableFromInline
    struct Start {
        var sent = 0
        var hasTurn = false
        @usableFromInline var isDone = false
    }

    /// Sends what can be sent at once, if no other task writes.
    @usableFromInline
    func begin(_ bytes: RawSpan) throws -> Start {
        try bytes.withUnsafeBytes { try begin($0) }
    }

    @inline(__always)
    func begin(_ bytes: UnsafeRawBufferPointer) throws -> Start {
        guard transport.isOnLoop, !transport.isTurnTaken else { return Start() }
        let sent = try transport.sendNow(bytes) ?? 0
        if sent == bytes.count { return Start(sent: sent, hasTurn: true, isDone: true) }
        transport.takeTurn()
        transport.sent(sent, unsentBytes: bytes.count - sent)
        return Start(sent: sent, hasTurn: true)
    }

    /// The rest of a write.
    @usableFromInline
    func goOn(_ allBytes: RawSpan, _ start: Start) async throws {
        let bytes = allBytes.extracting(start.sent...)
        guard loop.isOnLoop else { return try await hop(bytes, hasTurn: false) }
        let (isHome, record) = loop.homeRecord(&binding, #isolation)
        guard isHome else { return try await hop(bytes, hasTurn: start.hasTurn) }
        try await sendRest(bytes, hasTurn: start.hasTurn, record)
    }

    /// What could not be sent at once, in this writer's turn. At home.
    private func sendRest(_ bytes: RawSpan, hasTurn: Bool, _ record: TaskRecord?) async throws {
        if !hasTurn { try await transport.beginTurn(record) }
        defer { transport.endTurn() }
        var sent = 0
        while true {
            let count = try bytes.withUnsafeBytes {
                try transport.sendNow(UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            sent += count ?? 0
            transport.sent(count ?? 0, unsentBytes: bytes.byteCount - sent)
            if sent == bytes.byteCount { return }
            // A send may be short because of the share of an iteration, and nothing would report that it may go on.
            if count == nil { try await transport.waitUntilWritable(record) }
        }
    }

    public func write(_ bytes: [UInt8]) async throws {
        try await write(bytes.span.bytes)
    }

    /// Sends the UTF-8 bytes of `text`.
    public func write(_ text: String) async throws {
        try await write(text.utf8.span.bytes)
    }

    /// Waits until the kernel has all that was written before, by other tasks and by ``StreamTransport/write(_:)-(RawSpan)``
    /// too. asyncio: `drain`.
    ///
    /// Writes of this type wait for themselves and need no `drain()`, but on a completion loop, which has up to 64 KiB on the
    /// way when they return. Unlike asyncio's it waits for all, not for the low-water mark. Any number of tasks may
    /// wait. Throws the reason when the connection is lost or was closed, also if nothing is left to wait for.
    public func drain() async throws {
        try await loop.atHome { record in
            try await transport.beginTurn(record)
            defer { transport.endTurn() }
            try await transport.waitUntilFlushed(record)
        }
    }

    /// For a task that is elsewhere. It keeps no memory of another thread's.
    private func hop(_ bytes: RawSpan, hasTurn: Bool) async throws {
        let copy = bytes.withUnsafeBytes { [UInt8]($0) }
        try await loop.hop("write(_:)") { try await sendRest(copy.span.bytes, hasTurn: hasTurn, nil) }
    }

    /// Ends the writing direction after the writes before; the peer reads an end, and reading goes on. Idempotent. asyncio:
    /// `write_eof`. Any task.
    ///
    /// It is serialized with the writes, and throws while it waits for them as ``drain()`` does. After a write that was
    /// cut off it throws `.incompleteWrite`: the peer would take EOF for the end of a whole message.
    public func writeEOF() async throws {
        try await loop.atHome { record in
            // There is nothing to end any more.
            guard transport.state.acceptsWrites || transport.state.writing == .cutOff else { return }
            try await transport.beginTurn(record)
            defer { transport.endTurn() }
            transport.writeEOF()
        }
    }

    /// Whether this end can be closed alone: yes, by TCP. asyncio: `can_write_eof`.
    public var canWriteEOF: Bool { true }

    /// Whether the connection is being closed, or is. The loop's thread. asyncio: `is_closing`.
    public var isClosing: Bool { transport.isClosing }

    /// Waits until the connection has ended and its socket is closed. asyncio: `wait_closed`.
    ///
    /// It does not close: call ``close()`` before. Throws the reason if the connection was lost, and not ended by this
    /// program, at every call. Any number of tasks may wait. While the peer takes what is queued or being written, the
    /// connection does not end; when nothing could be sent for a minute, it is reset. Set a time limit, and ``abort()``
    /// when it has passed, for less.
    public func waitClosed() async throws {
        try await loop.atHome { record in try await transport.waitClosed(record) }
    }

    /// At the end of a scope: what went wrong before is the scope's, what goes wrong meanwhile is thrown. A cancelled task
    /// does not wait.
    func closeAndWait() async throws {
        try await loop.atHome { record in
            let wasLost = transport.lossError != nil
            transport.close()
            do {
                try await transport.waitClosed(record)
            } catch {
                if !wasLost { throw error }
            }
        }
    }

    /// Ends the connection after what was written. Does not wait for that, see ``waitClosed()``. Idempotent. asyncio: `close`.
    /// Any task.
    ///
    /// A write of another task that has begun is completed, so that no message is cut off; writes that wait for it,
    /// reads and `drain()` throw `.closed`. If that write is cancelled, or an earlier one was cut off,
    /// the connection is reset: the peer does not take half a message for a whole one.
    ///
    /// If there is input that nobody has read, the system tells the peer of a reset, which may cost it the end of what
    /// was written: read to the end first, or use ``closeGracefully(within:discardingAtMost:)``. TCP is so (RFC 2525, 2.17).
    public func close() {
        onLoop { $0.close() }
    }

    /// Ends the connection after what was written, without costing the peer the end of that: what the peer still sends is
    /// dropped until its own end, within `time` and up to `byteCount` bytes. Does not wait for that, see ``waitClosed()``.
    /// As ``StreamTransport/closeGracefully(within:discardingAtMost:)``. Any task.
    ///
    /// Nobody reads any more: reads throw `.closed`. A handler of ``EventLoop/startServer(host:port:options:limitBytes:fileID:line:_:)``
    /// may return at once.
    public func closeGracefully(within time: Duration = .seconds(5), discardingAtMost byteCount: Int = 1 << 20) {
        onLoop { $0.closeGracefully(within: time, discardingAtMost: byteCount) }
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
}

@available(*, unavailable, message: "a writer belongs to its loop; use it in tasks of the loop")
extension StreamWriter: Sendable {}

extension StreamWriter: CustomStringConvertible {
    /// As that of its ``StreamTransport``.
    public var description: String { "<StreamWriter \(transport.summary)>" }
}
