import AsyncIOSystem

extension StreamTransport: CustomStringConvertible {
    /// The descriptor, the addresses and the state, such as
    /// `<StreamTransport fd=7 127.0.0.1:80 -> 127.0.0.1:50000, open, write buffer 0 bytes>`.
    ///
    /// The state is said on the loop's thread only.
    public var description: String { "<StreamTransport \(summary)>" }

    fileprivate var summary: String {
        let addresses =
            "\(localAddress?.description ?? "no address") -> \(peerAddress?.description ?? "an unknown peer")"
        guard loop.isOnLoop else { return "\(addresses), on another thread's loop" }
        guard let openSocket else { return "\(addresses), closed\(lossError.map { ": \($0)" } ?? "")" }
        var text = "fd=\(openSocket.number) \(addresses), \(state.isClosing ? "closing" : "open")"
        if sawEnd { text += ", EOF received" }
        if state.reading == .paused { text += ", reading paused" }
        if state.writing != .open { text += ", write side shut down" }
        return text + ", write buffer \(writeBufferSize) bytes"
    }
}

extension StreamReader: CustomStringConvertible {
    /// As that of its ``StreamTransport``.
    public var description: String { "<StreamReader \(transport.summary)>" }
}

extension StreamWriter: CustomStringConvertible {
    /// As that of its ``StreamTransport``.
    public var description: String { "<StreamWriter \(transport.summary)>" }
}

extension StreamReader.Lines: CustomStringConvertible {
    /// Names the reader.
    public var description: String { "<lines of \(reader)>" }
}

extension StreamReader.Chunks: CustomStringConvertible {
    /// Names the reader.
    public var description: String { "<chunks of \(reader)>" }
}

extension StreamReader.Frames: CustomStringConvertible {
    /// Names the reader.
    public var description: String { "<frames of \(reader)>" }
}

extension TransportSocket: CustomStringConvertible {
    /// Such as `<TransportSocket fd=7 127.0.0.1:80>`.
    public var description: String {
        let address = localAddress?.description ?? "no address"
        guard owner.eventLoop.isOnLoop else { return "<TransportSocket \(address), on another thread's loop>" }
        guard let descriptor else { return "<TransportSocket \(address), closed>" }
        return "<TransportSocket fd=\(descriptor.rawValue) \(address)>"
    }
}

extension Server: CustomStringConvertible {
    /// The addresses and the state, such as `<Server 127.0.0.1:8888, serving, 3 connections>`.
    public var description: String {
        let addresses = localAddresses.map(\.description).joined(separator: ", ")
        guard loop.isOnLoop else { return "<Server \(addresses), on another thread's loop>" }
        let count = connectionCount
        let state = isServing ? "serving" : sockets.isEmpty ? "closed" : "not serving"
        return "<Server \(addresses), \(state), \(count) \(count == 1 ? "connection" : "connections")>"
    }
}

extension LengthPrefix: CustomStringConvertible {
    /// Such as `uint16`.
    public var description: String { "uint\(8 * byteCount)" }
}
