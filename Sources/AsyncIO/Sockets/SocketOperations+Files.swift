public import AsyncIOSystem
public import SystemPackage

extension SocketOperations {
    /// Sends a regular file, or a part of it, and returns the number of bytes. asyncio: `sock_sendfile`.
    ///
    /// Everything is as in ``StreamTransport/sendFile(_:offset:maxBytes:allowsCopying:)``, except that the socket stays
    /// usable in any case.
    @discardableResult
    public func sendFile(
        _ socket: Socket, _ file: FileDescriptor, offset: Int64 = 0, maxBytes: Int? = nil, allowsCopying: Bool = true
    ) async throws -> Int {
        var transfer = try FileTransfer(file, offset: offset, maxBytes: maxBytes, allowsCopying: allowsCopying)
        defer { transfer.finish() }
        return try await loop.whenReady(socket, .write, "sock.sendFile", mayBlock: true, byteCount: \.self) {
            try sendPart(socket, &transfer) ? transfer.sentBytes : nil
        }
    }

    /// Sends the next part. Returns whether it was the last; after any other it waits for the next iteration or longer.
    private func sendPart(_ socket: Socket, _ transfer: inout FileTransfer) throws -> Bool {
        if transfer.unsentBytes == 0 { return true }
        if !transfer.isCopying {
            let result = loop.core.sendFile(
                socket, transfer.file, offset: transfer.offset, byteCount: transfer.nextByteCount)
            if !result.saysSendfileIsNotAvailable { return try sent(result, socket, &transfer) }
            try transfer.cannotSendDirectly()
        }
        // Not kept until the next part, because the socket may be full for long.
        let memory = loop.chunkPool.take(.medium)
        defer { loop.chunkPool.put(memory, .medium) }
        let buffer = UnsafeMutableRawBufferPointer(start: memory, count: BufferPool.Size.medium.byteCount)
        let count = try transfer.read(into: buffer)
        if count == 0 { return try sent(.bytes(0), socket, &transfer) }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        return try sent(loop.core.send(socket, bytes), socket, &transfer)
    }

    private func sent(_ result: IOResult, _ socket: Socket, _ transfer: inout FileTransfer) throws -> Bool {
        guard let count = try loop.byteCount(of: result, "send a file to", socket) else { return false }
        transfer.sent(count)
        return transfer.unsentBytes == 0
    }
}
