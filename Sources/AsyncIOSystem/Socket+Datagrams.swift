import CAsyncIO

/// Datagrams: transfers with the address of the peer.
extension Socket {
    /// Receives the next datagram into `buffer`, with the address of its sender. recvfrom(2).
    ///
    /// Bytes that do not fit into `buffer` are lost. The address is `nil` for a sender without one, and on a stream
    /// socket.
    public func receiveFrom(into buffer: UnsafeMutableRawBufferPointer) -> (result: IOResult, peer: SocketAddress?) {
        var nothing: UInt8 = 0
        return withUnsafeMutablePointer(to: &nothing) { nothing in
            var storage = sockaddr_storage()
            var length = socklen_t()
            let count = aio_receive_from(number, buffer.baseAddress ?? .init(nothing), buffer.count, &storage, &length)
            return (IOResult(cResult: count), count < 0 || length == 0 ? nil : SocketAddress(storage, length: length))
        }
    }

    /// Sends one datagram to `address`, either all of it or nothing. Raises no SIGPIPE. sendto(2).
    public func sendTo(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress) -> IOResult {
        var nothing: UInt8 = 0
        return withUnsafePointer(to: &nothing) { nothing in
            let base = bytes.baseAddress ?? .init(nothing)
            return IOResult(cResult: address.withCAddress { aio_send_to(number, base, bytes.count, $0, $1) })
        }
    }
}
