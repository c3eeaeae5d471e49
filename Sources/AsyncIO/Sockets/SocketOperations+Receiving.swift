public import AsyncIOSystem
import Selectors

/// Receiving on sockets of one's own.
///
/// What holds for all raw operations: the socket stays yours. The system call is made at once, and only if it would
/// block does the task wait; an operation that need not wait succeeds even in a cancelled task, but for
/// ``accept(_:)``. One task per direction: another one gets `.busy`, also while a callback of
/// ``EventLoop/addReader(_:fileID:line:_:)`` or `addWriter` has the direction; reading and writing go on independently.
/// A cancelled operation has taken nothing, and the socket stays usable. ``close(_:)`` ends waits with
/// `.closed`. A blocking socket is refused with `.invalidArgument` where a call would block the loop, and in debug mode
/// always. Any task; off the loop, it hops.
///
/// They throw an `IOError` with the operation and the peer, `.descriptorInUse` if a transport owns the socket, `.busy`,
/// `.closed`, `.invalidArgument`, `.unsupported` on a loop that watches no descriptors, and `CancellationError`.
extension SocketOperations {
    /// How much is set aside for bytes that have not come yet. No datagram is longer.
    private static var mostBytesAtOnce: Int { 64 * 1024 }

    /// Waits for bytes and returns what there is, at most `maxBytes`, and at most 64 KiB at a time. asyncio:
    /// `sock_recv`.
    ///
    /// Empty at the end of a stream, and for an empty datagram. With a `maxBytes` of zero it is empty at once, and
    /// takes no datagram.
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

    /// Waits for bytes and moves as many into `buffer` as there are, from its beginning. How many. asyncio:
    /// `sock_recv_into`.
    ///
    /// 0 is the end of a stream, or an empty datagram. An empty buffer gives 0 at once, and takes no datagram.
    public func recv(_ socket: Socket, into buffer: inout [UInt8]) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) {
            try buffer.withUnsafeMutableBytes { try receive(socket, into: $0) }
        }
    }

    /// As ``recv(_:into:)`` of an array. The memory must stay as it is until this returns or throws.
    public func recv(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) async throws -> Int {
        try await loop.whenReady(socket, .read, "sock.recv", byteCount: \.self) {
            try receive(socket, into: buffer)
        }
    }

    /// As ``recv(_:into:)`` of an array; appends to what is in `buffer`.
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

    /// Waits for a datagram; cuts it to `maxBytes`, at most 64 KiB. asyncio: `sock_recvfrom`.
    ///
    /// The address is `nil` for a sender that has none, and on a stream. It waits also for `maxBytes` of 0, which takes
    /// a datagram and leaves its bytes.
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
    public func recvFrom(
        _ socket: Socket, into buffer: inout [UInt8]
    ) async throws -> (count: Int, peer: SocketAddress?) {
        try await loop.whenReady(socket, .read, "sock.recvFrom", byteCount: \.count) {
            let (result, peer) = buffer.withUnsafeMutableBytes { loop.core.receiveFrom(socket, into: $0) }
            return try received(result, socket).map { ($0, peer) }
        }
    }

    /// As ``recvFrom(_:into:)`` of an array. The memory must stay as it is until this returns or throws.
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
