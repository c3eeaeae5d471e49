public import AsyncIOSystem

/// A datagram that a task has received.
public struct Datagram: Sendable, Hashable, CustomStringConvertible {
    /// The bytes; none for an empty datagram.
    public var bytes: [UInt8]
    /// The sender; `nil` if it has no address.
    public var address: SocketAddress?

    public init(bytes: [UInt8], address: SocketAddress? = nil) {
        self.bytes = bytes
        self.address = address
    }

    /// Such as `<Datagram of 5 bytes from 127.0.0.1:50000>`.
    public var description: String {
        "<Datagram of \(bytes.count) bytes from \(address.map { "\($0)" } ?? "an unnamed sender")>"
    }
}

/// An endpoint for datagrams, for tasks. asyncio has only the protocol; this is a sequence of the received datagrams.
///
/// ```swift
/// let endpoint = try await loop.openDatagramEndpoint(local: .host("127.0.0.1", port: 9999))
/// for try await datagram in endpoint {
///     try await endpoint.send(datagram.bytes, to: datagram.address)
/// }
/// ```
///
/// The endpoint receives all the time, and stores what no task has received yet, up to
/// ``DatagramOptions/receiveBufferBytes`` and one batch more. Then it stops, and the kernel drops what it has no room
/// for. One task at a time may receive; a second one gets `.busy`. The endpoint ends when it is closed or released. It
/// is not `Sendable`.
///
/// - Thread: any, unless a member says otherwise; off the loop, a call hops there, and a close is submitted.
public final class DatagramEndpoint: AsyncSequence, CustomStringConvertible {
    public typealias Element = Datagram

    let transport: DatagramTransport
    let inbox: DatagramInbox
    private let driverID: SlotID
    @exclusivity(unchecked) private var binding = TaskBinding()

    init(_ transport: DatagramTransport, _ inbox: DatagramInbox) {
        self.transport = transport
        self.inbox = inbox
        driverID = transport.driver.id ?? .stale
    }

    deinit { transport.loop.abandonSource(driverID) }

    /// The loop that the endpoint belongs to.
    public var loop: EventLoop { transport.loop }

    /// The local address; `nil` if the system did not return one.
    public var localAddress: SocketAddress? { transport.localAddress }
    /// The only address that datagrams are sent to; `nil` if each datagram has its own.
    public var peerAddress: SocketAddress? { transport.peerAddress }

    /// The socket, for its options and multicast groups; its functions may be called only on the loop's thread.
    public var socket: TransportSocket { transport.socket }

    // MARK: Receiving

    /// Waits for the next datagram; returns `nil` after a close.
    ///
    /// Throws an `IOError` that the network has reported for an earlier datagram, such as `ECONNREFUSED`, after the
    /// datagrams that have arrived before; the endpoint continues, and may be called again. Also throws the reason if
    /// the endpoint has ended otherwise, in each call, see ``isClosing``; `.busy`, `.closed` if the loop is closed, and
    /// `CancellationError`, which takes no datagram.
    public func receive() async throws -> Datagram? {
        try await next(ignoringErrors: false) { Datagram(bytes: [UInt8]($0), address: $1) }
    }

    /// Waits for the next datagram, and copies as much of it as fits to the beginning of `buffer`. Returns the number
    /// of its bytes, which is larger than the buffer if it did not fit, and its sender; `nil` after a close. Allocates
    /// nothing. Throws as ``receive()`` does.
    public func receive(into buffer: inout [UInt8]) async throws -> (byteCount: Int, address: SocketAddress?)? {
        try await next(ignoringErrors: false) { bytes, address in
            buffer.withUnsafeMutableBytes { $0.copyMemory(from: .init(rebasing: bytes.prefix($0.count))) }
            return (bytes.count, address)
        }
    }

    /// Returns the datagrams that arrive, until a close. Unlike ``receive()``, the iteration ignores the network's
    /// errors, because it could not continue after one.
    public func makeAsyncIterator() -> LoopSequence<Datagram, any Error> {
        LoopSequence(of: self) { endpoint in
            let endpoint = unsafeDowncast(endpoint, to: DatagramEndpoint.self)
            return try await endpoint.next(ignoringErrors: true) { Datagram(bytes: [UInt8]($0), address: $1) }
        }
    }

    /// Takes the next datagram, and waits for one if none has been stored. Only a task that waits needs its record.
    ///
    /// It is inlined, so that a task that does not wait has no frame besides that of the call itself.
    @inline(__always)
    private func next<Result>(
        _ function: StaticString = #function, ignoringErrors: Bool,
        _ take: (UnsafeRawBufferPointer, SocketAddress?) -> Result
    ) async throws -> Result? {
        if transport.isOnLoop {
            if let result = takeStored(take) { return result }
            let (hasAffinity, record) = loop.affinityRecord(&binding, #isolation)
            if hasAffinity {
                while try await waitForMore(record, ignoringErrors) {
                    if let result = takeStored(take) { return result }
                }
                return nil
            }
        }
        return try await nextAfterHop(function, ignoringErrors, take)
    }

    @inline(__always)
    private func takeStored<Result>(_ take: (UnsafeRawBufferPointer, SocketAddress?) -> Result) -> Result? {
        // SAFETY: the endpoint retains its inbox.
        Unmanaged.passUnretained(inbox)._withUnsafeGuaranteedRef { $0.take(take) }
    }

    /// Waits until something has happened. Returns false after a close. The task is on its loop.
    private func waitForMore(_ record: TaskRecord?, _ ignoringErrors: Bool) async throws -> Bool {
        if let error = inbox.takeError(), !ignoringErrors { throw error }
        if transport.state.isClosing {
            if let error = transport.lossError { throw error }
            return false
        }
        if loop.isClosed { throw EventLoopError.closed }
        try await inbox.waitToReceive(loop, record)
        return true
    }

    @inline(never)
    private func nextAfterHop<Result>(
        _ function: StaticString, _ ignoringErrors: Bool, _ take: (UnsafeRawBufferPointer, SocketAddress?) -> Result
    ) async throws -> Result? {
        try await loop.hop(function) { try await next(function, ignoringErrors: ignoringErrors, take) }
    }

    // MARK: Sending

    /// Sends `bytes` as one datagram, which may be empty. Waits while the write buffer is above its high water mark.
    ///
    /// The datagram is passed to the kernel before the function returns, unless the kernel has no room. Throws an
    /// `IOError` if it cannot be sent, because it is too large or its network is unreachable; the endpoint continues.
    ///
    /// If further datagrams have been received already, because the task has fallen behind, what it sends is
    /// collected, and passed to the kernel with one system call, at the end of the loop's iteration at the latest. An
    /// error of such a datagram is thrown by ``receive()``, and ignored by `for try await`.
    ///
    /// Throws `.invalidArgument` as ``DatagramTransport/send(_:to:)-(RawSpan,_)`` does, `.connectionClosed` after a
    /// close, `.closed` if the loop is closed, and `CancellationError` in a cancelled task that would have to wait.
    ///
    /// - Parameter address: `nil` for an endpoint with a fixed peer.
    @inlinable public func send(_ bytes: RawSpan, to address: SocketAddress? = nil) async throws {
        // The part that does not wait is not async, and so needs no frame of the caller.
        if try sendNow(bytes, to: address) { return }
        try await waitToSend(bytes, to: address)
    }

    /// Sends a datagram, unless the task would have to wait or to hop first. Returns whether it did.
    @usableFromInline func sendNow(_ bytes: RawSpan, to address: SocketAddress?) throws -> Bool {
        guard transport.isOnLoop else { return false }
        let target = try transport.target(of: address)
        guard transport.state.acceptsWrites else { throw transport.sendingEnded }
        if inbox.isWritingPaused { return false }
        try bytes.withUnsafeBytes {
            // One system call for the answers to many datagrams.
            if inbox.hasDatagrams {
                transport.collect($0, to: target)
            } else {
                try transport.sendAtOnce($0, to: target)
            }
        }
        return true
    }

    @usableFromInline func waitToSend(_ bytes: RawSpan, to address: SocketAddress?) async throws {
        try await loop.withAffinity("DatagramEndpoint.send") { record in
            while try !sendNow(bytes, to: address) { try await inbox.waitForChange(loop, record) }
        }
    }

    /// Sends `bytes`, as ``send(_:to:)-(RawSpan,_)`` does.
    public func send(_ bytes: [UInt8], to address: SocketAddress? = nil) async throws {
        try await send(bytes.span.bytes, to: address)
    }

    /// Sends the UTF-8 bytes of `text`, as ``send(_:to:)-(RawSpan,_)`` does.
    public func send(_ text: String, to address: SocketAddress? = nil) async throws {
        try await send(text.utf8.span.bytes, to: address)
    }

    // MARK: Ending

    /// Whether the endpoint is closed or has failed, after which ``receive()`` throws the same error in each call.
    /// - Thread: the loop's. Calls on other threads trap with a message.
    public var isClosing: Bool { transport.isClosing }

    /// Sends the datagrams in the write buffer, then closes the endpoint. Nothing is received any more, and a task that
    /// waits to receive gets `nil`. Idempotent.
    public func close() { onLoop { $0.close() } }

    /// Closes the endpoint at once, and discards the datagrams that were not sent.
    public func abort() { onLoop { $0.abort() } }

    /// Waits until the endpoint has ended and its socket is closed. Throws the reason if this side has not closed it.
    public func waitClosed() async throws {
        try await loop.withAffinity("DatagramEndpoint.waitClosed") { record in
            while !inbox.hasEnded, !loop.isClosed { try await inbox.waitForChange(loop, record) }
            if let error = transport.lossError { throw error }
        }
    }

    private func onLoop(_ body: @escaping @Sendable (DatagramTransport) -> Void) {
        if loop.isOnLoop { return body(transport) }
        // SAFETY: used on the loop only.
        nonisolated(unsafe) let transport = transport
        // A closed loop has already ended its endpoints.
        _ = try? loop.callSoonThreadsafe { body(transport) }
    }

    /// The description of the endpoint's ``DatagramTransport``.
    public var description: String { "<DatagramEndpoint \(transport.summary)>" }
}

@available(*, unavailable, message: "an endpoint belongs to its loop; use it in tasks of the loop")
extension DatagramEndpoint: Sendable {}

extension EventLoop {
    /// Creates an endpoint for datagrams, for tasks. asyncio has no such call. The parameters and errors are those of
    /// ``createDatagramEndpoint(local:remote:options:fileID:line:_:)``.
    public final func openDatagramEndpoint(
        local: Endpoint? = nil, remote: Endpoint? = nil, options: DatagramOptions = DatagramOptions(),
        fileID: StaticString = #fileID, line: UInt = #line
    ) async throws -> sending DatagramEndpoint {
        let given = Endpoint.sockets((local?.sockets ?? []) + (remote?.sockets ?? []))
        let made = try await withAffinity(owning: given, "openDatagramEndpoint") {
            let inbox = DatagramInbox(limitBytes: options.receiveBufferBytes)
            let opened = try await openDatagramSocket(local, remote, options)
            let transport = try makeTransport(opened, inbox, CallSite(fileID: fileID, line: line))
            return UncheckedSendable(value: DatagramEndpoint(transport, inbox))
        }
        nonisolated(unsafe) let value = made.value
        return value
    }
}

extension DatagramTransport {
    /// Stops receiving. Datagrams stay in the kernel, which drops what it has no room for.
    func pauseReading() { perform(state.pausedReading()) }

    func resumeReading() { perform(state.resumedReading()) }

    /// Why nothing can be sent any more.
    var sendingEnded: any Error {
        if let lossError { return lossError }
        return loop.isClosed ? EventLoopError.closed : EventLoopError(.connectionClosed, "the endpoint is closed")
    }

    /// Sends a datagram before it returns, unless others wait. Throws its error.
    func sendAtOnce(_ bytes: UnsafeRawBufferPointer, to target: SocketAddress?) throws {
        do {
            try driver.sendAtOnce(bytes, to: target)
        } catch {
            throw IOError(error, operation: "send a datagram to", address: target ?? peerAddress)
        }
        if driver.waitingBytes > 0 { perform(state.queued(queuedBytes: driver.waitingBytes)) }
    }
}
