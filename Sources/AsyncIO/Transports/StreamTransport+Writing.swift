import AsyncIOSystem

extension StreamTransport {
    /// Sends `bytes`. What cannot be sent now is buffered and sent later, in order. Never blocks. asyncio: `write`.
    ///
    /// After `close()`, `abort()` or the loss of the connection, the bytes are discarded. The first such write is
    /// reported to the exception handler, but not between the loss and `connectionLost`, because the protocol cannot
    /// know of the loss yet. After `writeEOF()`, every write is discarded and reported, where asyncio raises. The
    /// same applies while ``sendFile(_:offset:maxBytes:allowsCopying:)`` is in progress.
    public func write(_ bytes: RawSpan) { bytes.withUnsafeBytes { write($0) } }

    /// Sends `bytes`, as ``write(_:)-(RawSpan)`` does.
    public func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }

    /// Sends the UTF-8 bytes of `text`, as ``write(_:)-(RawSpan)`` does.
    public func write(_ text: String) { write(text.utf8.span.bytes) }

    /// Sends `bytes`, as ``write(_:)-(RawSpan)`` does.
    public func write(_ bytes: ArraySlice<UInt8>) { bytes.withUnsafeBytes { write($0) } }

    /// Sends the UTF-8 bytes of `text`, as ``write(_:)-(RawSpan)`` does.
    public func write(_ text: Substring) { write(text.utf8.span.bytes) }

    /// Sends `bytes` as a frame, for ``ByteQueue/takeFrame(lengthPrefix:limitBytes:)``. Throws `.invalidArgument`, and
    /// sends nothing, if their number does not fit into `lengthPrefix`.
    public func writeFrame(_ bytes: [UInt8], lengthPrefix: LengthPrefix = .uint32) throws(EventLoopError) {
        write(pieces: [try lengthPrefix.encoded(bytes.count), bytes])
    }

    /// As ``writeFrame(_:lengthPrefix:)-([UInt8],_)``; copies `bytes`.
    public func writeFrame(_ bytes: RawSpan, lengthPrefix: LengthPrefix = .uint32) throws(EventLoopError) {
        write(try lengthPrefix.frame(bytes))
    }

    /// Sends several pieces as one. Large pieces are only copied if they have to be buffered. asyncio: `writelines`.
    @inlinable public func write(contentsOf pieces: some Sequence<[UInt8]>) {
        // Compiled in the caller's module, where the type of `pieces` is known.
        write(pieces: Array(pieces))
    }

    @usableFromInline func write(pieces: [[UInt8]]) {
        loop.requireOnLoop("StreamTransport.write")
        var vector = WriteVector(pieces)
        guard state.acceptsBareWrites else { return dropped(vector.count) }
        if queue.isEmpty, vector.count <= WriteVector.joinedBytes { return write(vector.joined) }
        var isShort = !queue.isEmpty
        while vector.count > 0, !isShort {
            let (result, offered) = vector.withNextPieces { piece in (withDriver { $0.send(piece) }, piece.byteCount) }
            switch result {
            case .bytes(let count):
                vector.advance(by: count)
                isShort = count < offered
            case .wouldBlock:
                if state.isLost { return }
                isShort = true
            case .failed(let error): return failed(error, operation: "send to")
            }
        }
        queue.reserve(vector.count)
        vector.forEachRest { queue.append($0) }
        if writeBufferBytes > 0 { perform(state.queued(queuedBytes: writeBufferBytes)) }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        loop.requireOnLoop("StreamTransport.write")
        guard state.acceptsBareWrites else { return dropped(bytes.count) }
        if bytes.isEmpty { return }
        var taken = 0
        if queue.isEmpty {
            switch withDriver({ $0.send(bytes) }) {
            case .bytes(let count): taken = count
            // A filter may have ended the connection.
            case .wouldBlock: if state.isLost { return }
            case .failed(let error): return failed(error, operation: "send to")
            }
            if taken == bytes.count {
                let unsentBytes = withDriver { $0.unsentBytes }
                if unsentBytes > 0 { perform(state.queued(queuedBytes: unsentBytes)) }
                return
            }
        }
        queue.append(UnsafeRawBufferPointer(rebasing: bytes[taken...]))
        perform(state.queued(queuedBytes: writeBufferBytes))
    }

    /// Reports a write that is discarded. asyncio does not report the first four.
    private func dropped(_ count: Int) {
        if count == 0 || loop.isClosed || lossError != nil && !state.isLossReported { return }
        let isMisuse = state.life == .open && state.writing != .cutOff
        if hasReportedDrop && !isMisuse { return }
        hasReportedDrop = true
        let cause = isMisuse ? misuse : endCause
        let addresses = [localAddress, peerAddress].map { $0.map { $0.isUnnamed ? "unnamed" : "\($0)" } ?? "unknown" }
        loop.report(
            ExceptionContext(
                message: "a write of \(count) bytes from \(addresses[0]) to \(addresses[1]) was discarded",
                error: cause, origin: origin, protocol: consumer, transport: self))
    }

    private var misuse: EventLoopError {
        if state.isSendingFile { return EventLoopError(.busy, "sendFile() is in progress") }
        return directions.contains(.write)
            ? EventLoopError(.connectionClosed, "writeEOF() was called")
            : EventLoopError(.invalidArgument, "the pipe is open for reading only")
    }

    private var endCause: any Error {
        if let ending {
            let isByPeer = ending == .peerEOF || ending == .readerLeft
            let code: EventLoopError.Code = isByPeer ? .connectionBroken : .connectionClosed
            return EventLoopError(code, "\(ending.rawValue) has ended the connection")
        }
        if state.writing == .cutOff { return endError }
        return lossError ?? EventLoopError(.connectionClosed, "both sides sent EOF")
    }

    func flushQueue() {
        if queue.isEmpty && !state.isClosing && !state.isWriterPaused && state.writing != .ending { return }
        while !queue.isEmpty {
            let bytes = UnsafeRawBufferPointer(rebasing: queue.bytes.prefix(IterationShare.bytesPerIteration))
            guard withDriver({ $0.grantsSend(of: bytes.count) }) else { break }
            let result = withDriver { $0.send(bytes) }
            if case .failed(let error) = result { return failed(error, operation: "send to") }
            guard case .bytes(let count) = result else { break }
            queue.removeFirst(count)
            // A short send. The driver reports when there is room again.
            if count < bytes.count { break }
        }
        perform(state.flushed(queuedBytes: outstandingBytes))
    }
}
