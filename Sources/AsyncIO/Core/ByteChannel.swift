package import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// A descriptor with the system calls that move its bytes and end it. Another kind of descriptor than a connected
/// stream socket would be another case here, because neither drivers nor the layers above depend on the kind.
package struct ByteChannel {
    package let socket: Socket

    package init(_ socket: Socket) { self.socket = socket }
    var descriptor: FileDescriptor { socket.descriptor }
    var localAddress: SocketAddress? { socket.localAddress }

    var peerAddress: SocketAddress? { socket.peerAddress }

    @inline(__always)
    func receive(into buffer: UnsafeMutableRawBufferPointer, _ core: UnsafeMutablePointer<LoopCore>) -> IOResult {
        core.receive(socket, into: buffer)
    }

    @inline(__always)
    func send(_ bytes: UnsafeRawBufferPointer, _ core: UnsafeMutablePointer<LoopCore>) -> IOResult {
        core.send(socket, bytes)
    }

    @inline(__always)
    func send(_ pieces: UnsafeBufferPointer<iovec>, _ core: UnsafeMutablePointer<LoopCore>) -> IOResult {
        core.send(socket, pieces)
    }

    /// Sends EOF. Has no effect on a connection that has already ended.
    func shutdownWrite() { try? socket.shutdownWrite() }

    /// So that the peer does not take a part of the data for the whole.
    func resetOnClose() { socket.resetOnClose() }
}
