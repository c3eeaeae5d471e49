public import AsyncIOSystem
import Selectors
public import SystemPackage

extension SocketOperations {
    /// The most bytes that are received together with descriptors.
    private static var mostBytesAtOnce: Int { 64 * 1024 }

    /// Sends descriptors together with `bytes`, to another process or another thread: SCM_RIGHTS in unix(7). Python:
    /// `socket.send_fds`.
    ///
    /// The receiver gets duplicates, which share the file and its flags, such as O_NONBLOCK; yours stay open. The first
    /// byte carries them, so if an error or a cancellation follows after a part of the bytes, they have been sent. The
    /// descriptors must stay open until this function returns or throws.
    ///
    /// Throws `.invalidArgument` unless there are 1 to 253 descriptors, at least one byte, and a unix socket, and an
    /// `IOError` such as `EBADF`, or `ETOOMANYREFS` while too many descriptors wait to be received.
    public func sendDescriptors(
        _ socket: Socket, _ descriptors: [FileDescriptor], with bytes: RawSpan
    ) async throws {
        guard (1...Socket.mostDescriptorsPerMessage).contains(descriptors.count) else {
            throw EventLoopError(
                .invalidArgument, "cannot send \(descriptors.count) descriptors; a message has 1 to 253 of them")
        }
        if bytes.isEmpty { throw EventLoopError(.invalidArgument, "cannot send descriptors without any byte") }
        try checkUnix(socket, "send descriptors to")
        var sent = 0
        _ = try await loop.whenReady(socket, .write, "sock.sendDescriptors", byteCount: \.self) { () -> Int? in
            if sent == 0 {
                let result = bytes.withUnsafeBytes { loop.core.send(socket, $0, with: descriptors) }
                sent = try loop.byteCount(of: result, "send descriptors to", socket) ?? 0
                return sent == bytes.byteCount ? sent : nil
            }
            return try sendPart(socket, bytes, &sent) ? bytes.byteCount : nil
        }
    }

    /// As ``sendDescriptors(_:_:with:)-(_,_,RawSpan)``.
    public func sendDescriptors(
        _ socket: Socket, _ descriptors: [FileDescriptor], with bytes: [UInt8]
    ) async throws {
        try await sendDescriptors(socket, descriptors, with: bytes.span.bytes)
    }

    /// Waits for bytes, and returns at most `maxBytes` and 64 KiB of them with the descriptors that came with them.
    /// Python: `socket.recv_fds`.
    ///
    /// On a stream, the descriptors come with the first byte of their message, which earlier bytes may precede; those
    /// of two messages are never returned together. No bytes mean EOF. The descriptors belong to you, and are closed on
    /// exec. A socket among them becomes a connection or a server with ``Endpoint/socket(_:)``.
    ///
    /// If there are more than `maxDescriptors` descriptors, or more than the process may have open, all are closed, the
    /// bytes are lost, and it throws an `IOError` with `EMSGSIZE`. Other receive operations close the descriptors that
    /// arrive. Throws `.invalidArgument` unless both limits are at least one and the socket is a unix socket.
    public func receiveDescriptors(
        _ socket: Socket, maxDescriptors: Int, maxBytes: Int
    ) async throws -> (bytes: [UInt8], descriptors: [FileDescriptor]) {
        if maxDescriptors < 1 || maxBytes < 1 {
            throw EventLoopError(
                .invalidArgument, "cannot receive \(maxDescriptors) descriptors with \(maxBytes) bytes")
        }
        try checkUnix(socket, "receive descriptors from")
        let capacity = min(maxBytes, Self.mostBytesAtOnce)
        return try await loop.whenReady(socket, .read, "sock.receiveDescriptors", byteCount: \.bytes.count) {
            var received = ReceivedDescriptors(.wouldBlock)
            let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                received = loop.core.receive(
                    socket, into: UnsafeMutableRawBufferPointer(buffer), maxDescriptors: maxDescriptors)
                if case .bytes(let filled) = received.result { count = filled }
            }
            if received.wereTooMany {
                var error = loop.failure(.messageTooLong, "receive descriptors from", socket)
                error.detail = "there were more than \(maxDescriptors), or than this process may have; all were closed"
                throw error
            }
            let descriptors = received.descriptors
            return try loop.byteCount(of: received.result, "receive descriptors from", socket)
                .map { _ in (bytes, descriptors) }
        }
    }

    /// Other sockets ignore descriptors.
    private func checkUnix(_ socket: Socket, _ operation: String) throws(EventLoopError) {
        if socket.family == .unix { return }
        throw EventLoopError(
            .invalidArgument, "cannot \(operation) socket \(socket.number), which is not a unix socket")
    }
}
