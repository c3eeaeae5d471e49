public import AsyncIOSystem
import Synchronization

/// The writing half of a connection, for tasks. asyncio: `StreamWriter`.
///
/// A write passes the caller's memory to the kernel and waits while the peer reads slowly; nothing is buffered in
/// between. The writes of several tasks are serialized, first come, first served, each with all of its bytes. A writer
/// is not `Sendable`.
///
/// - Thread: any, unless a member says otherwise; off the loop, an async function hops there, and a close is submitted.
public final class StreamWriter: CustomStringConvertible {
    /// The connection, for operations that the writer does not have.
    public let transport: StreamTransport
    @exclusivity(unchecked) private var binding = TaskBinding()

    init(_ transport: StreamTransport) {
        self.transport = transport
        transport.retainStreams()
    }

    deinit { transport.releaseStreams() }

    /// The loop that the connection belongs to.
    public var loop: EventLoop { transport.loop }

    /// The local address of the connection, even after it was closed; `nil` if the system did not return one.
    public var localAddress: SocketAddress? { transport.localAddress }
    /// The address of the peer, under the same conditions.
    public var peerAddress: SocketAddress? { transport.peerAddress }
    /// The process at the other end of a unix connection. `nil` for any other connection, and after it was closed.
    /// - Thread: the loop's.
    public var peerCredentials: PeerCredentials? { transport.socket.peerCredentials }

    /// The number of bytes that the tasks' writes have sent so far, including those of incomplete writes.
    ///
    /// The difference to its value before a write says how many bytes of the write were sent when it was cancelled,
    /// timed out or failed. On a completion loop it includes up to 64 KiB that were submitted and not sent yet.
    public var bytesWritten: Int { transport.writtenBytes.load(ordering: .relaxed) }

    /// Sends all of `bytes`, and returns when the kernel has accepted them. asyncio: `write` and `drain`.
    ///
    /// Throws `CancellationError` in a cancelled task that would have to wait, and an `IOError` or `.connectionClosed`
    /// when the connection has ended. On a completion loop the function returns when the bytes have been submitted.
    ///
    /// A write that fails after some of its bytes were sent is *incomplete*. The peer would take later bytes for the
    /// rest of it, so waiting writes and all later writes throw `.incompleteWrite`, and the connection can only be
    /// reset: by ``close()``, ``closeGracefully(within:maxDiscardedBytes:)``, by the return of its handler, or when its
    /// streams are released. Reading continues until then.
    @inlinable public func write(_ bytes: RawSpan) async throws {
        // The part that does not wait is not async, and so needs no frame of the caller.
        let start = try begin(bytes)
        if start.isDone { return }
        try await goOn(bytes, start)
    }

    /// What a write has done before it waits.
    @usableFromInline struct Start {
        var sent = 0
        var hasBegunWrite = false
        @usableFromInline var isDone = false
    }

    /// Sends the bytes that can be sent at once, unless another task is writing.
    @usableFromInline func begin(_ bytes: RawSpan) throws -> Start {
        try bytes.withUnsafeBytes { try begin($0) }
    }

    /// - Parameter buffer: The buffer of the loop's pool that contains the bytes, if they are in one.
    @inline(__always) func begin(_ bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer? = nil) throws -> Start {
        guard transport.isOnLoop, !transport.state.isWriteInProgress else { return Start() }
        let sent = try transport.sendNow(bytes, in: buffer) ?? 0
        if sent == bytes.count { return Start(sent: sent, hasBegunWrite: true, isDone: true) }
        transport.state.beganWrite()
        transport.sent(sent, unsentBytes: bytes.count - sent)
        return Start(sent: sent, hasBegunWrite: true)
    }

    @usableFromInline func goOn(_ allBytes: RawSpan, _ start: Start) async throws {
        let bytes = allBytes.extracting(start.sent...)
        guard loop.isOnLoop else { return try await hop(bytes, hasBegunWrite: false) }
        let (hasAffinity, record) = loop.affinityRecord(&binding, #isolation)
        guard hasAffinity else { return try await hop(bytes, hasBegunWrite: start.hasBegunWrite) }
        try await sendRest(bytes, hasBegunWrite: start.hasBegunWrite, record)
    }

    /// Sends the bytes that could not be sent at once, when this write is scheduled. The task resumes on the loop.
    private func sendRest(_ bytes: RawSpan, hasBegunWrite: Bool, _ record: TaskRecord?) async throws {
        if !hasBegunWrite { try await transport.beginWrite(record) }
        defer { transport.endWrite() }
        var sent = 0
        while true {
            let count = try bytes.withUnsafeBytes {
                try transport.sendNow(UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            sent += count ?? 0
            transport.sent(count ?? 0, unsentBytes: bytes.byteCount - sent)
            if sent == bytes.byteCount { return }
            // A short send may be due to the connection's share of an iteration, after which no event follows.
            if count == nil { try await transport.waitUntilWritable(record) }
        }
    }

    /// Sends all of `bytes`; everything else is as in ``write(_:)-(RawSpan)``.
    public func write(_ bytes: [UInt8]) async throws { try await write(bytes.span.bytes) }

    /// Sends all of `bytes`; everything else is as in ``write(_:)-(RawSpan)``.
    public func write(_ bytes: ArraySlice<UInt8>) async throws { try await write(bytes.span.bytes) }

    /// Sends the UTF-8 bytes of `text`; everything else is as in ``write(_:)-(RawSpan)``.
    public func write(_ text: String) async throws { try await write(text.utf8.span.bytes) }

    /// Sends the UTF-8 bytes of `text`; everything else is as in ``write(_:)-(RawSpan)``.
    public func write(_ text: Substring) async throws { try await write(text.utf8.span.bytes) }

    /// Waits until the kernel has accepted everything that was written before, including the writes of other tasks and
    /// of ``StreamTransport/write(_:)-(RawSpan)``. asyncio: `drain`, which only waits for the low water mark.
    ///
    /// A write of this type already waits, so it needs no `drain()`, except on a completion loop, where up to 64 KiB
    /// may be in flight when it returns. Any number of tasks may wait. After a loss or a close it throws the reason,
    /// even if nothing was pending.
    public func drain() async throws {
        try await loop.withAffinity { record in
            try await transport.beginWrite(record)
            defer { transport.endWrite() }
            try await transport.waitUntilFlushed(record)
        }
    }

    /// Hops to the loop with a copy of the bytes, because the loop must not use another thread's memory.
    private func hop(_ bytes: RawSpan, hasBegunWrite: Bool) async throws {
        let copy = bytes.withUnsafeBytes { [UInt8]($0) }
        try await loop.hop("write(_:)") { try await sendRest(copy.span.bytes, hasBegunWrite: hasBegunWrite, nil) }
    }

    /// Shuts down the write side after all earlier writes; reading continues. Idempotent. asyncio: `write_eof`.
    ///
    /// It is serialized with the writes, and throws what ``drain()`` throws while it waits for them. After an
    /// incomplete write it throws `.incompleteWrite`, because the peer would take EOF for the end of a whole message.
    public func writeEOF() async throws {
        try await loop.withAffinity { record in
            // The write side has been shut down already.
            guard transport.state.acceptsWrites || transport.state.writing == .cutOff else { return }
            try await transport.beginWrite(record)
            defer { transport.endWrite() }
            transport.writeEOF()
        }
    }

    /// Whether the write side can be shut down alone: true, because TCP allows it. asyncio: `can_write_eof`.
    public var canWriteEOF: Bool { true }

    /// Whether the connection is closing or closed. asyncio: `is_closing`.
    ///
    /// - Thread: the loop's.
    public var isClosing: Bool { transport.isClosing }

    /// Waits until the connection has ended and its socket is closed. asyncio: `wait_closed`.
    ///
    /// It does not close the connection; call ``close()`` first. If the connection was lost and not ended by this
    /// program, every call throws the reason. Any number of tasks may wait. The connection does not end while the peer
    /// reads the bytes that are still being sent; it is reset when nothing could be sent for a minute. For a shorter
    /// wait, set a time limit, and call ``abort()`` when it has expired.
    public func waitClosed() async throws {
        try await loop.withAffinity { record in try await transport.waitClosed(record) }
    }

    /// Closes the connection and waits. Throws only errors that occur during this call, because the scope has thrown
    /// earlier ones. A cancelled task does not wait.
    func closeAndWait() async throws {
        try await loop.withAffinity { record in
            let wasLost = transport.lossError != nil
            transport.close()
            do {
                try await transport.waitClosed(record)
            } catch {
                if !wasLost { throw error }
            }
        }
    }

    /// Closes the connection after everything that was written has been sent, without waiting for that; see
    /// ``waitClosed()``. Idempotent. asyncio: `close`.
    ///
    /// The current write of another task is completed, so that no message is truncated; writes that wait for it, reads
    /// and `drain()` throw `.connectionClosed`. If the current write is cancelled, or an earlier one was incomplete,
    /// the connection is reset, so that the peer does not take half a message for a whole one.
    ///
    /// If there is unread input, TCP sends an RST (RFC 2525, 2.17), which can destroy the last bytes that were written.
    /// To avoid that, read until EOF first, or use ``closeGracefully(within:maxDiscardedBytes:)``.
    public func close() { onLoop { $0.close() } }

    /// Closes the connection with a lingering close, as ``StreamTransport/closeGracefully(within:maxDiscardedBytes:)``
    /// does, without waiting for it. Reads throw `.connectionClosed` from then on. A handler of
    /// ``EventLoop/startServer(on:options:fileID:line:_:)`` may return at once.
    public func closeGracefully(within time: Duration = .seconds(5), maxDiscardedBytes: Int = 1 << 20) {
        onLoop { $0.closeGracefully(within: time, maxDiscardedBytes: maxDiscardedBytes) }
    }

    /// Closes the connection at once, and discards unsent bytes.
    public func abort() { onLoop { $0.abort() } }

    /// Closes the connection at once with an RST, so that the peer gets an error instead of EOF.
    public func reset() { onLoop { $0.reset() } }

    private func onLoop(_ body: @escaping @Sendable (StreamTransport) -> Void) {
        if loop.isOnLoop { return body(transport) }
        // SAFETY: used on the loop only.
        nonisolated(unsafe) let transport = transport
        // A closed loop has already ended its connections.
        _ = try? loop.callSoonThreadsafe { body(transport) }
    }

    /// The description of the writer's ``StreamTransport``.
    public var description: String { "<StreamWriter \(transport.summary)>" }
}

@available(*, unavailable, message: "a writer belongs to its loop; use it in tasks of the loop")
extension StreamWriter: Sendable {}
