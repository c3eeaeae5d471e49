import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// The system calls that the loop makes on sockets and pipes, which a test may have replaced. They are functions of a
/// pointer, because a reference to the loop would be retained for each call.
extension UnsafeMutablePointer<LoopCore> {
    func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        pointee.systemCalls?.receive(socket, into: buffer) ?? socket.receive(into: buffer)
    }

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        pointee.systemCalls?.send(socket, bytes) ?? socket.send(bytes)
    }

    func send(_ socket: Socket, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        pointee.systemCalls?.send(socket, pieces) ?? socket.send(pieces)
    }

    func read(
        _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, _ calls: TransferCalls
    ) -> IOResult {
        pointee.systemCalls?.read(descriptor, into: buffer, calls) ?? calls.read(descriptor, into: buffer)
    }

    func write(
        _ descriptor: FileDescriptor, _ pieces: UnsafeBufferPointer<iovec>, _ calls: TransferCalls
    ) -> IOResult {
        pointee.systemCalls?.write(descriptor, pieces, calls) ?? calls.write(descriptor, pieces)
    }

    func receiveFrom(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) -> (result: IOResult, peer: SocketAddress?) {
        pointee.systemCalls?.receiveFrom(socket, into: buffer) ?? socket.receiveFrom(into: buffer)
    }

    func sendTo(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress) -> IOResult {
        pointee.systemCalls?.sendTo(socket, bytes, address) ?? socket.sendTo(bytes, to: address)
    }

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, with descriptors: [FileDescriptor]) -> IOResult {
        pointee.systemCalls?.send(socket, bytes, with: descriptors) ?? socket.send(bytes, with: descriptors)
    }

    func receive(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer, maxDescriptors: Int
    ) -> ReceivedDescriptors {
        pointee.systemCalls?.receive(socket, into: buffer, maxDescriptors: maxDescriptors)
            ?? socket.receive(into: buffer, maxDescriptors: maxDescriptors)
    }

    /// Receives up to `count` messages without waiting. Returns their number, or a negated `errno`. Sets `isDrained` if
    /// no further ones have arrived.
    func receiveMessages(
        _ socket: Socket, _ messages: UnsafeMutablePointer<aio_message>, _ count: Int, _ isDrained: inout Bool
    ) -> Int {
        if pointee.systemCalls != nil { return receiveReplaced(socket, messages) }
        let received = Int(aio_receive_messages(socket.number, messages, UInt32(truncatingIfNeeded: count)))
        isDrained = received < count
        return received
    }

    /// Sends up to `count` messages without waiting. Returns their number; a negated `errno` if the first one failed.
    func sendMessages(_ socket: Socket, _ messages: UnsafeMutablePointer<aio_message>, _ count: Int) -> Int {
        if pointee.systemCalls != nil { return sendReplaced(socket, messages) }
        return Int(aio_send_messages(socket.number, messages, UInt32(truncatingIfNeeded: count)))
    }

    /// One message at a time, so that each fault has a call of its own.
    @inline(never)
    private func receiveReplaced(_ socket: Socket, _ message: UnsafeMutablePointer<aio_message>) -> Int {
        let piece = aio_message_piece(message).pointee
        let buffer = UnsafeMutableRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
        let (result, sender) = receiveFrom(socket, into: buffer)
        switch result {
        case .wouldBlock: return -Int(Errno.resourceTemporarilyUnavailable.rawValue)
        case .failed(let error): return -Int(error.rawValue)
        case .bytes(let count):
            message.pointee.byte_count = UInt32(min(count, buffer.count))
            aio_message_set_truncated(message, count > buffer.count)
            let address = aio_message_address(message)
            let length = sender.flatMap { sender in address.map { sender.write(to: $0) } } ?? 0
            aio_message_set_address_length(message, socklen_t(length))
            return 1
        }
    }

    @inline(never)
    private func sendReplaced(_ socket: Socket, _ message: UnsafeMutablePointer<aio_message>) -> Int {
        let piece = aio_message_piece(message).pointee
        let bytes = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
        let length = Int(aio_message_address_length(message))
        let address = aio_message_address(message).flatMap { SocketAddress(at: $0, byteCount: length) }
        return switch address.map({ sendTo(socket, bytes, $0) }) ?? send(socket, bytes) {
        case .bytes: 1
        case .wouldBlock: -Int(Errno.resourceTemporarilyUnavailable.rawValue)
        case .failed(let error): -Int(error.rawValue)
        }
    }

    func sendFile(_ socket: Socket, _ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        pointee.systemCalls?.sendFile(socket, file, offset: offset, byteCount: byteCount)
            ?? socket.sendFile(file, offset: offset, byteCount: byteCount)
    }

    func connect(_ socket: Socket, to address: SocketAddress) throws(Errno) -> Bool {
        guard let systemCalls = pointee.systemCalls else { return try socket.connect(to: address) }
        return try systemCalls.connect(socket, to: address)
    }

    func accept(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        guard let systemCalls = pointee.systemCalls else { return try socket.accept() }
        return try systemCalls.accept(socket)
    }

    func shutdownWrite(_ socket: Socket) throws(Errno) {
        guard let systemCalls = pointee.systemCalls else { return try socket.shutdownWrite() }
        try systemCalls.shutdownWrite(socket)
    }

    func localAddress(_ socket: Socket) throws(Errno) -> SocketAddress? {
        guard let systemCalls = pointee.systemCalls else { return try socket.findLocalAddress() }
        return try systemCalls.localAddress(socket)
    }
}
