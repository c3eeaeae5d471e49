import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// The system calls as the loop makes them. The calls for every message go directly to C, because functions of other
/// modules are not inlined.
extension EventLoop {
    @inline(__always)
    final func receiveNow(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if let calls = core.pointee.systemCalls { return calls.receive(socket, into: buffer) }
        guard let base = buffer.baseAddress else { return .bytes(0) }
        let count = aio_receive(socket.number, base, buffer.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    @inline(__always)
    final func sendNow(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let calls = core.pointee.systemCalls { return calls.send(socket, bytes) }
        guard let base = bytes.baseAddress else { return .bytes(0) }
        let count = aio_send(socket.number, base, bytes.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    final func sendNow(_ socket: Socket, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        core.pointee.systemCalls?.send(socket, pieces) ?? socket.send(pieces)
    }

    final func receiveFromNow(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) -> (result: IOResult, peer: SocketAddress?) {
        core.pointee.systemCalls?.receiveFrom(socket, into: buffer) ?? socket.receiveFrom(into: buffer)
    }

    final func sendToNow(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress) -> IOResult {
        core.pointee.systemCalls?.sendTo(socket, bytes, address) ?? socket.sendTo(bytes, to: address)
    }

    /// Returns true if the socket is connected; otherwise the attempt continues.
    final func connectNow(_ socket: Socket, _ address: SocketAddress) throws(Errno) -> Bool {
        guard let calls = core.pointee.systemCalls else { return try socket.connect(to: address) }
        return try calls.connect(socket, to: address)
    }

    final func acceptNow(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        guard let calls = core.pointee.systemCalls else { return try socket.accept() }
        return try calls.accept(socket)
    }
}
