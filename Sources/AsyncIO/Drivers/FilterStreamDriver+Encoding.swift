import AsyncIOSystem
import SystemPackage

/// From the filter to the driver below.
extension FilterStreamDriver {
    /// Calls the filter, and appends what it has encoded to the output. Returns how many bytes it has consumed, `nil`
    /// if it has failed.
    func encode(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let filter else { return nil }
        let size = ChunkPool.Size.medium
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        var encoded = OutputRawSpan(
            buffer: UnsafeMutableRawBufferPointer(start: room, count: size.byteCount), initializedCount: 0)
        do {
            let result = try filter.encode(bytes.bytes, into: &encoded)
            let consumed = min(max(0, result.consumedBytes), bytes.count)
            hasMoreToSend = result.needsRoom
            if encoded.byteCount == 0, consumed == 0, hasMoreToSend || !bytes.isEmpty {
                // Without progress now there would be none later.
                throw EventLoopError(.invalidArgument, "a stream filter encodes nothing of \(bytes.count) bytes")
            }
            send(encoded: UnsafeRawBufferPointer(start: room, count: encoded.byteCount))
            return consumed
        } catch {
            fail(error)
            return nil
        }
    }

    /// Sends encoded bytes, directly from their memory if nothing is in front of them, and retains the rest.
    func send(encoded bytes: UnsafeRawBufferPointer) {
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

    /// Sends by the driver below, unless what a call has caused has closed that driver: its number may be another
    /// file's.
    func sendBelow(_ bytes: UnsafeRawBufferPointer) -> IOResult {
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
        replyBytes = 0
        if base.unsentBytes == 0 { finishIfFlushed() }
    }

    /// What the filter sends last.
    func appendEnd() {
        guard let filter, isEstablished, failure == nil else { return }
        let size = ChunkPool.Size.small
        let room = loop.chunkPool.take(size)
        defer { loop.chunkPool.put(room, size) }
        var encoded = OutputRawSpan(
            buffer: UnsafeMutableRawBufferPointer(start: room, count: size.byteCount), initializedCount: 0)
        // The connection ends anyway, so an error changes nothing.
        try? filter.finish(into: &encoded)
        send(encoded: UnsafeRawBufferPointer(start: room, count: encoded.byteCount))
    }

    func finishIfFlushed() {
        switch finishing {
        case .no, .done: break
        case .shutsDown:
            finishing = .done
            if base.phase == .open { base.shutdownWrite() }
        case .closes:
            finishing = .done
            closeBase()
        }
    }
}
