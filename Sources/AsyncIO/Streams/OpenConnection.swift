extension EventLoop {
    /// The default of `limitBytes`: the longest line that a reader takes. asyncio: 64 KiB.
    public static let defaultLineLimitBytes = 64 * 1024

    /// Connects to a TCP server, for a task that reads and writes itself. asyncio: `open_connection`.
    ///
    /// ```swift
    /// let (reader, writer) = try await loop.openConnection(host: "localhost", port: 7)
    /// try await writer.write("hello\n")
    /// print(try await reader.readLine() ?? "")
    /// writer.close()
    /// ```
    ///
    /// Any task; a task of another loop or of the pool may use the streams too, at the price of hops. Throws as
    /// ``createConnection(host:port:_:)``.
    public final func openConnection(
        host: String, port: UInt16, limitBytes: Int = defaultLineLimitBytes
    ) async throws -> sending (reader: StreamReader, writer: StreamWriter) {
        let streams = try await atHome { _ in
            let (driver, peer) = try await connect(host: host, port: port)
            let transport = StreamTransport(loop: self, driver: driver, consumer: nil, peerAddress: peer)
            return UncheckedSendable(value: transport.makeStreams(limitBytes: limitBytes))
        }
        nonisolated(unsafe) let value = streams.value
        return value
    }
}

extension StreamTransport {
    /// The two halves. The connection ends with the last of them.
    package func makeStreams(limitBytes: Int) -> (reader: StreamReader, writer: StreamWriter) {
        let lifetime = StreamLifetime(self)
        return (StreamReader(lifetime, limitBytes: limitBytes), StreamWriter(lifetime))
    }
}
