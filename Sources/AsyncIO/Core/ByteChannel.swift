package import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// A descriptor with the system calls that move its bytes and end it: of a stream socket, or of a pipe or another file.
/// Neither the layers above the drivers nor their hot paths depend on the kind.
package struct ByteChannel {
    /// The descriptor, which is a socket only if `isSocket`.
    package let socket: Socket
    private let calls: TransferCalls

    package init(_ socket: Socket, _ calls: TransferCalls = .socket) {
        self.socket = socket
        self.calls = calls
    }

    package var isSocket: Bool { !calls.contains(.file) }
    /// Whether a receive that does not fill its buffer has emptied the descriptor.
    var emptiesByShortReceive: Bool { calls == .socket }
    var descriptor: FileDescriptor { socket.descriptor }
    var localAddress: SocketAddress? { isSocket ? socket.localAddress : nil }

    var peerAddress: SocketAddress? { isSocket ? socket.peerAddress : nil }

    // Every message makes these calls. If the caller knows that the descriptor is a socket and that no test has
    // replaced its calls (`directly`), they call C here, because functions of other modules are not inlined.

    @inline(__always)
    func receive(
        into buffer: UnsafeMutableRawBufferPointer, _ core: UnsafeMutablePointer<LoopCore>, directly: Bool
    ) -> IOResult {
        guard directly, let base = buffer.baseAddress else { return receiveIndirectly(into: buffer, core) }
        let count = aio_receive(socket.number, base, buffer.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    @inline(never)
    private func receiveIndirectly(
        into buffer: UnsafeMutableRawBufferPointer, _ core: UnsafeMutablePointer<LoopCore>
    ) -> IOResult {
        isSocket ? core.receive(socket, into: buffer) : core.read(descriptor, into: buffer, calls)
    }

    @inline(__always)
    func send(
        _ bytes: UnsafeRawBufferPointer, _ core: UnsafeMutablePointer<LoopCore>, directly: Bool
    ) -> IOResult {
        guard directly, let base = bytes.baseAddress else { return sendIndirectly(bytes, core) }
        let count = aio_send(socket.number, base, bytes.count)
        return count >= 0 ? .bytes(count) : IOResult(cResult: count)
    }

    @inline(never)
    private func sendIndirectly(_ bytes: UnsafeRawBufferPointer, _ core: UnsafeMutablePointer<LoopCore>) -> IOResult {
        if isSocket { return core.send(socket, bytes) }
        // SAFETY: the kernel only reads the memory.
        var piece = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        return withUnsafePointer(to: &piece) {
            core.write(descriptor, UnsafeBufferPointer(start: $0, count: 1), calls)
        }
    }

    func send(_ pieces: UnsafeBufferPointer<iovec>, _ core: UnsafeMutablePointer<LoopCore>) -> IOResult {
        isSocket ? core.send(socket, pieces) : core.write(descriptor, pieces, calls)
    }

    /// Sends from a regular file. 0 bytes mean the end of the file.
    func sendFile(
        _ file: FileDescriptor, offset: Int64, byteCount: Int, _ core: UnsafeMutablePointer<LoopCore>
    ) -> IOResult {
        core.sendFile(socket, file, offset: offset, byteCount: byteCount)
    }

    /// Sends EOF. Returns the error if the peer will not get it. Has no effect on a connection that has already ended,
    /// whose reason a receive finds out, and none on a pipe, which has no half that stays open.
    func shutdownWrite(_ core: UnsafeMutablePointer<LoopCore>) -> Errno? {
        guard isSocket else { return nil }
        do throws(Errno) {
            try core.shutdownWrite(socket)
            return nil
        } catch {
            return error == .socketNotConnected ? nil : error
        }
    }

    /// So that the peer does not take a part of the data for the whole. Only sockets have a reset.
    func resetOnClose() { if isSocket { socket.resetOnClose() } }

    /// Undoes what was changed for this channel in an open file that other processes may share.
    func willClose() {
        if calls.contains(.restoresBlocking) { try? socket.setNonBlocking(false) }
    }
}
