import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// The system calls that the loop makes on sockets, which a test may have replaced. They are functions of a pointer,
/// because a reference to the loop would be retained for each call. The calls that every message makes use C directly,
/// because functions of other modules are not inlined.
extension UnsafeMutablePointer<LoopCore> {
    @inline(__always)
    func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if pointee.systemCalls != nil { return receiveReplaced(socket, into: buffer) }
        guard let base = buffer.baseAddress else { return .bytes(0) }
        let count = aio_receive(socket.number, base, buffer.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    @inline(never)
    private func receiveReplaced(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        pointee.systemCalls?.receive(socket, into: buffer) ?? socket.receive(into: buffer)
    }

    @inline(__always) func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        if pointee.systemCalls != nil { return sendReplaced(socket, bytes) }
        guard let base = bytes.baseAddress else { return .bytes(0) }
        let count = aio_send(socket.number, base, bytes.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    @inline(never)
    private func sendReplaced(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        pointee.systemCalls?.send(socket, bytes) ?? socket.send(bytes)
    }

    @inline(never) func send(_ socket: Socket, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        pointee.systemCalls?.send(socket, pieces) ?? socket.send(pieces)
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

    func connect(_ socket: Socket, to address: SocketAddress) throws(Errno) -> Bool {
        guard let systemCalls = pointee.systemCalls else { return try socket.connect(to: address) }
        return try systemCalls.connect(socket, to: address)
    }

    func accept(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        guard let systemCalls = pointee.systemCalls else { return try socket.accept() }
        return try systemCalls.accept(socket)
    }
}
