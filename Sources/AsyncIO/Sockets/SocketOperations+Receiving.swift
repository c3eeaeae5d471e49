public import AsyncIOSystem
import Selectors

extension SocketOperations {
    /// The size of the memory that is reserved for bytes that have not arrived yet. No datagram is longer.
    private static var mostBytesAtOnce: Int { 64 * 1024 }

    /// Waits for bytes and returns those that have arrived, at most `maxBytes` and 64 KiB. asyncio: `sock_recv`.
    ///
    /// The result is empty at EOF, for an empty datagram, and at once if `maxBytes` is 0, which consumes no datagram.
    public func recv(_ socket: Socket, maxBytes: Int) async throws -> [UInt8] {
        let capacity = try checkedCount(maxBytes)
        return try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.count) {
            if capacity == 0 { return [] }
            var result = IOResult.wouldBlock
            let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                result = loop.core.receive(socket, into: UnsafeMutableRawBufferPointer(buffer))
                if case .bytes(let received) = result { count = received }
            }
            return try received(result, socket).map { _ in bytes }
        }
    }

    /// Waits for bytes, moves them to the beginning of `buffer` and returns their number. asyncio: `sock_recv_into`.
    ///
    /// 0 means EOF or an empty datagram. An empty buffer gets 0 at once, and consumes no datagram.
    public func recv(_ socket: Socket, into buffer: inout [UInt8]) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) {
            try buffer.withUnsafeMutableBytes { try receive(socket, into: $0) }
        }
    }

    /// As ``recv(_:into:)`` with an array. The memory must stay valid until this function returns or throws.
    public func recv(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) { try receive(socket, into: buffer) }
    }

    /// As ``recv(_:into:)`` with an array, but appends to the bytes in `buffer`.
    public func recv(_ socket: Socket, into buffer: inout OutputRawSpan) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) {
            try buffer.withUnsafeMutableBytes { bytes, count in
                let free = UnsafeMutableRawBufferPointer(rebasing: bytes[count...])
                let received = try receive(socket, into: free)
                count += received ?? 0
                return received
            }
        }
    }

    /// Waits for a datagram and returns its first `maxBytes` bytes, at most 64 KiB. asyncio: `sock_recvfrom`.
    ///
    /// The address is `nil` on a stream, and for a sender without one. A `maxBytes` of 0 consumes a datagram too.
    public func recvFrom(_ socket: Socket, maxBytes: Int) async throws -> (bytes: [UInt8], peer: SocketAddress?) {
        let capacity = try checkedCount(maxBytes)
        return try await loop.whenReady(socket, .read, "sock.recvFrom", byteCount: \.bytes.count) {
            var received: (result: IOResult, peer: SocketAddress?) = (.wouldBlock, nil)
            let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                received = loop.core.receiveFrom(socket, into: UnsafeMutableRawBufferPointer(buffer))
                if case .bytes(let filled) = received.result { count = min(filled, capacity) }
            }
            return try self.received(received.result, socket).map { _ in (bytes, received.peer) }
        }
    }

    /// Waits for a datagram and moves as much of it into `buffer` as fits. asyncio: `sock_recvfrom_into`.
    public func recvFrom(
        _ socket: Socket, into buffer: inout [UInt8]
    ) async throws -> (count: Int, peer: SocketAddress?) {
        try await loop.whenReady(socket, .read, "sock.recvFrom", byteCount: \.count) {
            let (result, peer) = buffer.withUnsafeMutableBytes { loop.core.receiveFrom(socket, into: $0) }
            return try received(result, socket).map { ($0, peer) }
        }
    }

    /// As ``recvFrom(_:into:)`` with an array. The memory must stay valid until this function returns or throws.
    public func recvFrom(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) async throws -> (count: Int, peer: SocketAddress?) {
        try await loop.whenReady(socket, .read, "sock.recvFrom", byteCount: \.count) {
            let (result, peer) = loop.core.receiveFrom(socket, into: buffer)
            return try received(result, socket).map { ($0, peer) }
        }
    }

    private func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        if buffer.isEmpty { return 0 }
        return try received(loop.core.receive(socket, into: buffer), socket)
    }

    private func received(_ result: IOResult, _ socket: Socket) throws -> Int? {
        try loop.byteCount(of: result, "receive from", socket)
    }

    private func checkedCount(_ count: Int) throws -> Int {
        if count < 0 { throw EventLoopError(.invalidArgument, "cannot receive \(count) bytes") }
        return min(count, Self.mostBytesAtOnce)
    }
}
