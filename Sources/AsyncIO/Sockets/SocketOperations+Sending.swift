public import AsyncIOSystem
import Selectors

extension SocketOperations {
    /// The most bytes that are sent in one iteration, so that a peer that keeps up does not delay other work.
    private static var mostBytesPerIteration: Int { 256 * 1024 }

    /// Sends all of `bytes`. Returns when the kernel has accepted them. asyncio: `sock_sendall`.
    ///
    /// If it is cancelled or fails, some may have been sent: ``sendAll(_:_:bytesSent:)-(_,RawSpan,_)`` counts them.
    public func sendAll(_ socket: Socket, _ bytes: RawSpan) async throws {
        var sent = 0
        try await sendAll(socket, bytes, bytesSent: &sent)
    }

    /// Sends all of `bytes`, and sets `bytesSent` to the number that the kernel has accepted, also if it throws.
    public func sendAll(_ socket: Socket, _ bytes: RawSpan, bytesSent: inout Int) async throws {
        bytesSent = 0
        _ = try await loop.whenReady(socket, .write, "sock.sendAll", byteCount: \.self) {
            try sendPart(socket, bytes, &bytesSent) ? bytes.byteCount : nil
        }
    }

    /// Sends the next part. Returns whether it was the last; after any other it waits for the next iteration or longer.
    func sendPart(_ socket: Socket, _ bytes: RawSpan, _ sent: inout Int) throws -> Bool {
        if sent == bytes.byteCount { return true }
        let end = min(bytes.byteCount, sent + Self.mostBytesPerIteration)
        let result = bytes.withUnsafeBytes { loop.core.send(socket, UnsafeRawBufferPointer(rebasing: $0[sent..<end])) }
        sent += try loop.byteCount(of: result, "send to", socket) ?? 0
        return sent == bytes.byteCount
    }

    /// As ``sendAll(_:_:)`` with a span.
    public func sendAll(_ socket: Socket, _ bytes: [UInt8]) async throws {
        try await sendAll(socket, bytes.span.bytes)
    }

    /// As ``sendAll(_:_:bytesSent:)-(_,RawSpan,_)``.
    public func sendAll(_ socket: Socket, _ bytes: [UInt8], bytesSent: inout Int) async throws {
        try await sendAll(socket, bytes.span.bytes, bytesSent: &bytesSent)
    }

    /// Sends one datagram, which may be empty, as a whole or not at all, and returns the number of its bytes. Waits
    /// while the socket's send buffer is full. asyncio: `sock_sendto`.
    @discardableResult
    public func sendTo(_ socket: Socket, _ bytes: RawSpan, to address: SocketAddress) async throws -> Int {
        try await loop.whenReady(socket, .write, "sock.sendTo", byteCount: \.self) {
            try loop.byteCount(
                of: bytes.withUnsafeBytes { loop.core.sendTo(socket, $0, address) }, "send to", socket, address)
        }
    }

    /// As ``sendTo(_:_:to:)`` with a span.
    @discardableResult
    public func sendTo(_ socket: Socket, _ bytes: [UInt8], to address: SocketAddress) async throws -> Int {
        try await sendTo(socket, bytes.span.bytes, to: address)
    }
}
