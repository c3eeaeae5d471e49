import AsyncIOSystem
import SystemPackage

/// From the driver below through the filter to the memory of the consumer, and from the filter to the driver below.
extension FilterStreamDriver {
    // MARK: Decoding

    /// Decodes received bytes into `memory`, and receives more when the filter has consumed them. Returns at least one
    /// byte; 0 at EOF; would-block also if the filter has failed, which has ended the connection.
    func decodeMore(into memory: UnsafeMutableRawBufferPointer) -> IOResult {
        // What a call has caused may have closed the connection.
        while failure == nil, phase == .open {
            if isAtEOF && !hasMore { return .bytes(0) }
            // The peer must read the replies first.
            if replyBytes >= Self.mostReplyBytes { return .wouldBlock }
            if !input.isEmpty || hasMore {
                guard let step = decode(input.bytes, into: memory) else { break }
                input.removeFirst(step.consumed)
                if step.produced > 0 { return .bytes(step.produced) }
                if step.consumed > 0 || hasMore || isAtEOF { continue }
            }
            if isBaseAtEOF {
                endInput()
            } else if input.count >= BufferPool.Size.large.byteCount {
                fail(IOError(.noBufferSpace, operation: "decode what was received from", address: channel.peerAddress))
            } else if let result = receiveInput(into: memory) {
                return result
            }
        }
        return .wouldBlock
    }

    /// Receives once, and decodes without a copy if nothing is retained. Returns `nil` if decoding has to go on.
    private func receiveInput(into memory: UnsafeMutableRawBufferPointer) -> IOResult? {
        withChunk(.medium) { room in
            switch base.receive(into: room) {
            case .bytes(0): isBaseAtEOF = true
            case .bytes(let count):
                let received = UnsafeRawBufferPointer(rebasing: room[..<count])
                guard input.isEmpty else {
                    input.append(received)
                    return nil
                }
                guard let step = decode(received, into: memory) else { return nil }
                input.append(UnsafeRawBufferPointer(rebasing: received[step.consumed...]))
                if step.produced > 0 { return .bytes(step.produced) }
            case let result: return result
            }
            return nil
        }
    }

    private func endInput() {
        do {
            try filter?.receivedEOF()
            isAtEOF = true
        } catch {
            fail(error)
        }
    }

    /// Calls the filter. Returns how many bytes it has consumed, and appended to `memory`; `nil` if it has failed.
    func decode(
        _ bytes: UnsafeRawBufferPointer, into memory: UnsafeMutableRawBufferPointer
    ) -> (consumed: Int, produced: Int)? {
        guard let filter else {
            let count = min(bytes.count, memory.count)
            memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            hasMore = false
            return (count, count)
        }
        return withChunk(.small) { room in
            var plain = OutputRawSpan(buffer: memory, initializedCount: 0)
            var replies = OutputRawSpan(buffer: room, initializedCount: 0)
            do {
                let result = try filter.decode(bytes.bytes, into: &plain, replies: &replies)
                send(replies: room[..<replies.byteCount])
                hasMore = result.needsRoom
                if result.hasEnded { isAtEOF = true }
                let consumed = min(max(0, result.consumedBytes), bytes.count)
                if result.needsRoom, consumed == 0, plain.byteCount == 0, replies.byteCount == 0 {
                    throw EventLoopError(.invalidArgument, "a stream filter needs more room than \(memory.count) bytes")
                }
                return (consumed, plain.byteCount)
            } catch {
                send(replies: room[..<replies.byteCount])
                fail(error)
                return nil
            }
        }
    }

    private func send(replies: UnsafeMutableRawBufferPointer.SubSequence) {
        if replies.isEmpty || hasFinished { return }
        send(encoded: UnsafeRawBufferPointer(rebasing: replies))
        replyBytes += replies.count
        flush()
    }

    // MARK: Encoding

    /// Calls the filter, and sends what it has encoded. Returns how many bytes it has consumed, `nil` if it has failed.
    func encode(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let filter else { return nil }
        return withChunk(.medium) { room in
            var encoded = OutputRawSpan(buffer: room, initializedCount: 0)
            do {
                let result = try filter.encode(bytes.bytes, into: &encoded)
                let consumed = min(max(0, result.consumedBytes), bytes.count)
                hasMoreToSend = result.needsRoom
                if encoded.byteCount == 0, consumed == 0, hasMoreToSend || !bytes.isEmpty {
                    // Without progress now there would be none later.
                    throw EventLoopError(.invalidArgument, "a stream filter encodes nothing of \(bytes.count) bytes")
                }
                send(encoded: UnsafeRawBufferPointer(rebasing: room[..<encoded.byteCount]))
                return consumed
            } catch {
                fail(error)
                return nil
            }
        }
    }

    /// Sends encoded bytes, directly from their memory if nothing is in front of them, and retains the rest.
    private func send(encoded bytes: UnsafeRawBufferPointer) {
        var sent = 0
        if output.isEmpty, !bytes.isEmpty {
            switch sendBelow(bytes) {
            case .bytes(let count): sent = count
            case .wouldBlock: break
            case .failed(let error): return failed(error, operation: "send to")
            }
        }
        output.append(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
    }

    /// Does not send if what a call has caused has closed the driver below: its number may be another file's.
    private func sendBelow(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        base.phase == .open ? base.send(bytes) : .wouldBlock
    }

    /// Sends what is encoded, and lets the filter encode what it has retained.
    func flush() {
        repeat {
            while !output.isEmpty {
                let bytes = output.bytes
                switch sendBelow(bytes) {
                case .bytes(let count):
                    output.removeFirst(count)
                    if count < bytes.count { return }
                case .wouldBlock: return
                case .failed(let error):
                    output.removeAll()
                    return failed(error, operation: "send to")
                }
            }
        } while hasMoreToSend && failure == nil && base.phase == .open
            && encode(UnsafeRawBufferPointer(start: nil, count: 0)) != nil
        if replyBytes >= Self.mostReplyBytes { readAgain() }
        replyBytes = 0
        if base.unsentBytes > 0 { return }
        if phase == .closing { return closeBase() }
        if shutsDown {
            shutsDown = false
            guard base.phase == .open, let error = base.shutdownWrite(on: loop) else { return }
            failed(error, operation: "send EOF to")
        }
    }

    /// Sends the filter's last bytes, once.
    func appendEnd() {
        if hasFinished { return }
        hasFinished = true
        guard let filter, isEstablished, failure == nil else { return }
        withChunk(.small) { room in
            var encoded = OutputRawSpan(buffer: room, initializedCount: 0)
            // The connection ends anyway, so an error changes nothing.
            try? filter.finish(into: &encoded)
            send(encoded: UnsafeRawBufferPointer(rebasing: room[..<encoded.byteCount]))
        }
    }
}
