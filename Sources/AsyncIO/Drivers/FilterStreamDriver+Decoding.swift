import AsyncIOSystem
import SystemPackage

/// From the driver below to the filter, and from the filter to the memory of the consumer.
extension FilterStreamDriver {
    /// Decodes received bytes, and receives more when the filter has consumed them. Decoded bytes go to `memory`.
    func decodeMore(into memory: UnsafeMutableRawBufferPointer) -> Decoded {
        while true {
            // Also if what a call has caused has closed the connection.
            if failure != nil || phase != .open { return .filterFailed }
            if isAtEOF && !hasMore { return .endOfFile }
            if replyBytes >= Self.mostReplyBytes {
                waitsForReplies = true
                return .wouldBlock
            }
            if !input.isEmpty || hasMore {
                guard let step = decode(input.bytes, into: memory) else { return .filterFailed }
                input.removeFirst(step.consumed)
                if step.produced > 0 { return .bytes(step.produced) }
                if isAtEOF && !hasMore { return .endOfFile }
                if step.consumed > 0 || hasMore { continue }
            }
            if isBaseAtEOF { return endInput() }
            if input.count >= ChunkPool.Size.large.byteCount {
                fail(IOError(.noBufferSpace, operation: "decode what was received from", address: channel.peerAddress))
                return .filterFailed
            }
            switch receiveInput(into: memory) {
            case nil: continue
            case let result?: return result
            }
        }
    }

    /// Receives once, and decodes without a copy if nothing is retained. Returns `nil` if decoding has to go on.
    func receiveInput(into memory: UnsafeMutableRawBufferPointer) -> Decoded? {
        let size = ChunkPool.Size.medium
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        switch base.receive(into: UnsafeMutableRawBufferPointer(start: room, count: size.byteCount)) {
        case .wouldBlock: return .wouldBlock
        case .failed(let error): return .failed(error)
        case .bytes(0):
            isBaseAtEOF = true
            return nil
        case .bytes(let count):
            let received = UnsafeRawBufferPointer(start: room, count: count)
            guard input.isEmpty else {
                input.append(received)
                return nil
            }
            guard let step = decode(received, into: memory) else { return .filterFailed }
            input.append(UnsafeRawBufferPointer(rebasing: received[step.consumed...]))
            if step.produced > 0 { return .bytes(step.produced) }
            return isAtEOF && !hasMore ? .endOfFile : nil
        }
    }

    /// The peer has sent EOF, and the filter has consumed what it can.
    func endInput() -> Decoded {
        do {
            try filter?.receivedEOF()
        } catch {
            fail(error)
            return .filterFailed
        }
        isAtEOF = true
        return .endOfFile
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
        let size = ChunkPool.Size.small
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        let repliesMemory = UnsafeMutableRawBufferPointer(start: room, count: size.byteCount)
        var plain = OutputRawSpan(buffer: memory, initializedCount: 0)
        var replies = OutputRawSpan(buffer: repliesMemory, initializedCount: 0)
        do {
            let result = try filter.decode(bytes.bytes, into: &plain, replies: &replies)
            send(replies: repliesMemory, replies.byteCount)
            hasMore = result.needsRoom
            if result.hasEnded { isAtEOF = true }
            let consumed = min(max(0, result.consumedBytes), bytes.count)
            if result.needsRoom, consumed == 0, plain.byteCount == 0, replies.byteCount == 0 {
                throw EventLoopError(.invalidArgument, "a stream filter needs more room than \(memory.count) bytes")
            }
            return (consumed, plain.byteCount)
        } catch {
            send(replies: repliesMemory, replies.byteCount)
            fail(error)
            return nil
        }
    }

    func send(replies: UnsafeMutableRawBufferPointer, _ count: Int) {
        // Nothing may follow the filter's last bytes, and the write side may be shut down.
        if count == 0 || finishing != .no { return }
        send(encoded: UnsafeRawBufferPointer(rebasing: replies[..<count]))
        replyBytes += count
        flush()
    }
}
