public import AsyncIOSystem

extension DatagramTransport {
    /// Sends `bytes` as one datagram, which may be empty. Never blocks. asyncio: `sendto`.
    ///
    /// What a protocol sends in one iteration of the loop is passed to the kernel with one system call, at the end of
    /// the iteration or earlier; asyncio makes a call for each datagram. What the kernel has no room for is buffered,
    /// and sent later, in order. A datagram that cannot be sent, because it is too large or its network is unreachable,
    /// is reported to `errorReceived`, and ends nothing. After a close, datagrams are discarded, and the first one is
    /// reported to the exception handler.
    ///
    /// Throws `.invalidArgument` without an address, if the endpoint has no ``peerAddress``, and with another address
    /// than that, if it has one.
    ///
    /// - Parameter address: `nil` for an endpoint with a fixed peer.
    public func send(_ bytes: RawSpan, to address: SocketAddress? = nil) throws(EventLoopError) {
        try bytes.withUnsafeBytes { bytes throws(EventLoopError) in try send(bytes, address) }
    }

    /// Sends `bytes`, as ``send(_:to:)-(RawSpan,_)`` does.
    public func send(_ bytes: [UInt8], to address: SocketAddress? = nil) throws(EventLoopError) {
        try send(bytes.span.bytes, to: address)
    }

    /// Sends the UTF-8 bytes of `text`, as ``send(_:to:)-(RawSpan,_)`` does.
    public func send(_ text: String, to address: SocketAddress? = nil) throws(EventLoopError) {
        try send(text.utf8.span.bytes, to: address)
    }

    @inline(__always)
    private func send(_ bytes: UnsafeRawBufferPointer, _ address: SocketAddress?) throws(EventLoopError) {
        loop.requireOnLoop("DatagramTransport.send")
        guard state.acceptsWrites else { return dropped(bytes.count) }
        collect(bytes, to: try target(of: address))
    }

    /// Sends a datagram with others, at the end of the iteration or earlier.
    @inline(__always) func collect(_ bytes: UnsafeRawBufferPointer, to target: SocketAddress?) {
        driver.send(bytes, to: target)
        if driver.waitingBytes > 0 { perform(state.queued(queuedBytes: driver.waitingBytes)) }
    }

    /// Returns the address to send to: `nil` on a connected socket.
    @inline(__always) func target(of address: SocketAddress?) throws(EventLoopError) -> SocketAddress? {
        if !hasFixedPeer, let address { return address }
        return try fixedTarget(address)
    }

    @inline(never) private func fixedTarget(_ address: SocketAddress?) throws(EventLoopError) -> SocketAddress? {
        guard hasFixedPeer else {
            throw EventLoopError(
                .invalidArgument, "a datagram endpoint without a remote address needs an address to send to")
        }
        if let address, address != peerAddress {
            let peer = peerAddress.map { "\($0)" } ?? "its peer"
            throw EventLoopError(
                .invalidArgument, "a datagram endpoint for \(peer) cannot send to \(address)")
        }
        return isConnected ? nil : peerAddress
    }

    @inline(never) private func dropped(_ count: Int) {
        if hasReportedDrop || loop.isClosed || lossError != nil && !state.isLossReported { return }
        hasReportedDrop = true
        loop.report(
            ExceptionContext(
                message: "a datagram of \(count) bytes from \(localAddress?.description ?? "no address") was discarded",
                error: lossError ?? EventLoopError(.closed, "the datagram endpoint is closed"), origin: origin,
                protocol: heldConsumer.consumer))
    }

    // MARK: Flow control

    /// The size of the datagrams that the kernel had no room for, in bytes; each counts as 64 bytes more than it has,
    /// so that empty ones count too. asyncio: `get_write_buffer_size`.
    public var writeBufferBytes: Int {
        loop.requireOnLoop("DatagramTransport.writeBufferBytes")
        return driver.waitingBytes
    }

    /// The water marks of the write buffer; 16 KiB and 64 KiB by default. asyncio: `get_write_buffer_limits`.
    ///
    /// The protocol's `pauseWriting` is called when more than `highBytes` are buffered, and `resumeWriting` when
    /// `lowBytes` or less are.
    public var writeBufferLimits: (lowBytes: Int, highBytes: Int) {
        loop.requireOnLoop("DatagramTransport.writeBufferLimits")
        return (state.lowWaterBytes, state.highWaterBytes)
    }

    /// Sets ``writeBufferLimits``, as ``StreamTransport/setWriteBufferLimits(lowBytes:highBytes:)`` does.
    public func setWriteBufferLimits(lowBytes: Int? = nil, highBytes: Int? = nil) throws(EventLoopError) {
        loop.requireOnLoop("DatagramTransport.setWriteBufferLimits")
        let (low, high) = try StreamTransportState.waterMarks(low: lowBytes, high: highBytes)
        perform(state.changedWaterMarks(low: low, high: high, queuedBytes: driver.waitingBytes))
    }
}
