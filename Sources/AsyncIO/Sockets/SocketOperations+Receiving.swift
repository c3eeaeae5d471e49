public import AsyncIOSystem
import Selectors

/// Receiving on sockets of the program.
///
/// Rules for all raw operations:
/// - The socket stays yours.
/// - The system call is made at once. The task waits only if the call would block, so an operation that need not wait
///   succeeds even in a cancelled task, except ``accept(_:)``.
/// - Only one task may wait per direction. Another one gets `.busy`, also while there is a callback of
///   ``EventLoop/addReader(_:fileID:line:_:)`` or `addWriter` for the direction. Reading and writing are independent.
/// - A cancelled operation has received nothing, and the socket stays usable.
/// - ``close(_:)`` ends waits with `.closed`.
/// - A blocking socket is rejected with `.invalidArgument` where a call would block the loop; in debug mode always.
///
/// They throw an `IOError` with the operation and the peer, `.descriptorInUse` if a transport owns the socket, `.busy`,
/// `.closed`, `.invalidArgument`, and `CancellationError`.
///
/// - Thread: any; the task hops to the loop and back.
extension SocketOperations {
    /// The size of the memory that is reserved for bytes that have not arrived yet. No datagram is longer.
    private static var mostBytesAtOnce: Int { 64 * 1024 }

    /// Waits for bytes and returns those that have arrived: at most `maxBytes`, and at most 64 KiB. asyncio:
    /// `sock_recv`.
    ///
    /// The result is empty at EOF, and for an empty datagram. If `maxBytes` is 0, the result is empty at once, and no
    /// datagram is consumed.
    /// - Thread: any.
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

    /// Waits for bytes and moves as many as have arrived into `buffer`, from its beginning. Returns their number.
    /// asyncio: `sock_recv_into`.
    ///
    /// 0 means EOF, or an empty datagram. For an empty buffer the result is 0 at once, and no datagram is consumed.
    /// - Thread: any.
    public func recv(_ socket: Socket, into buffer: inout [UInt8]) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) {
            try buffer.withUnsafeMutableBytes { try receive(socket, into: $0) }
        }
    }

    /// As ``recv(_:into:)`` with an array. The memory must stay valid until this function returns or throws.
    /// - Thread: any.
    public func recv(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) {
            try receive(socket, into: buffer)
        }
    }

    /// As ``recv(_:into:)`` with an array, but appends to the bytes in `buffer`.
    /// - Thread: any.
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
    /// The address is `nil` for a sender without an address, and on a stream. With a `maxBytes` of 0 the function waits
    /// too, and consumes a datagram without returning its bytes.
    /// - Thread: any.
    public func recvFrom(
        _ socket: Socket, maxBytes: Int
    ) async throws -> (bytes: [UInt8], peer: SocketAddress?) {
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
    /// - Thread: any.
    public func recvFrom(
        _ socket: Socket, into buffer: inout [UInt8]
    ) async throws -> (count: Int, peer: SocketAddress?) {
        try await loop.whenReady(socket, .read, "sock.recvFrom", byteCount: \.count) {
            let (result, peer) = buffer.withUnsafeMutableBytes { loop.core.receiveFrom(socket, into: $0) }
            return try received(result, socket).map { ($0, peer) }
        }
    }

    /// As ``recvFrom(_:into:)`` with an array. The memory must stay valid until this function returns or throws.
    /// - Thread: any.
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
        switch result {
        case .bytes(let count): count
        case .wouldBlock: nil
        case .failed(let error): throw loop.failure(error, "receive from", socket)
        }
    }

    private func checkedCount(_ count: Int) throws -> Int {
        if count < 0 { throw EventLoopError(.invalidArgument, "cannot receive \(count) bytes") }
        return min(count, Self.mostBytesAtOnce)
    }
}
