package import CAsyncIO
package import SystemPackage

/// The system calls that loops make on sockets and pipes. A test replaces them to simulate a kernel that fails or is
/// slow.
///
/// By default each function makes the system call of its name.
package protocol SystemCalls: AnyObject {
    func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult

    func receiveFrom(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) -> (result: IOResult, peer: SocketAddress?)

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult

    func send(_ socket: Socket, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult

    func sendTo(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress) -> IOResult

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, with descriptors: [FileDescriptor]) -> IOResult

    func receive(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer, maxDescriptors: Int
    ) -> ReceivedDescriptors

    /// Reads from a descriptor that is not a socket.
    func read(
        _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, _ calls: TransferCalls
    ) -> IOResult

    /// Writes to a descriptor that is not a socket.
    func write(
        _ descriptor: FileDescriptor, _ pieces: UnsafeBufferPointer<iovec>, _ calls: TransferCalls
    ) -> IOResult

    /// Sends from a regular file. 0 bytes mean the end of the file.
    func sendFile(_ socket: Socket, _ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult

    /// Returns whether the socket is connected; otherwise the attempt continues.
    func connect(_ socket: Socket, to address: SocketAddress) throws(Errno) -> Bool

    /// Returns the next client, or `nil` if none is waiting.
    func accept(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)?

    func shutdownWrite(_ socket: Socket) throws(Errno)

    /// Returns `nil` for an unknown family.
    func localAddress(_ socket: Socket) throws(Errno) -> SocketAddress?
}

extension SystemCalls {
    package func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        socket.receive(into: buffer)
    }

    package func receiveFrom(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) -> (result: IOResult, peer: SocketAddress?) {
        socket.receiveFrom(into: buffer)
    }

    package func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult { socket.send(bytes) }

    package func send(_ socket: Socket, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult { socket.send(pieces) }

    package func sendTo(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress) -> IOResult {
        socket.sendTo(bytes, to: address)
    }

    package func send(
        _ socket: Socket, _ bytes: UnsafeRawBufferPointer, with descriptors: [FileDescriptor]
    ) -> IOResult {
        socket.send(bytes, with: descriptors)
    }

    package func receive(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer, maxDescriptors: Int
    ) -> ReceivedDescriptors {
        socket.receive(into: buffer, maxDescriptors: maxDescriptors)
    }

    package func read(
        _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, _ calls: TransferCalls
    ) -> IOResult {
        calls.read(descriptor, into: buffer)
    }

    package func write(
        _ descriptor: FileDescriptor, _ pieces: UnsafeBufferPointer<iovec>, _ calls: TransferCalls
    ) -> IOResult {
        calls.write(descriptor, pieces)
    }

    package func sendFile(_ socket: Socket, _ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        socket.sendFile(file, offset: offset, byteCount: byteCount)
    }

    package func connect(_ socket: Socket, to address: SocketAddress) throws(Errno) -> Bool {
        try socket.connect(to: address)
    }

    package func accept(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        try socket.accept()
    }

    package func shutdownWrite(_ socket: Socket) throws(Errno) { try socket.shutdownWrite() }

    package func localAddress(_ socket: Socket) throws(Errno) -> SocketAddress? { try socket.findLocalAddress() }
}

/// A back end that makes system calls itself, so that a test can replace those too.
package protocol MakesSystemCalls: AnyObject {
    /// The replaced calls; `nil` if there are none.
    var systemCalls: (any SystemCalls)? { get set }
}
