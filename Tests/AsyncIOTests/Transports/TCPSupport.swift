import AsyncIO

/// Sends back what it receives, in push style.
final class EchoProtocol: StreamProtocol {
    private var transport: StreamTransport?

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) { transport?.write(data) }
    func connectionLost(_ error: (any Error)?) { transport = nil }
}

extension EventLoop {
    /// Lets the loop run until `condition` is true, or until the test's time limit.
    func until(_ condition: () -> Bool) async {
        while !condition() { await yield() }
    }
}

extension StreamReader {
    /// Reads everything until EOF.
    func readToEnd() async throws -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while let count = try await read(into: &buffer) { all += buffer[..<count] }
        return all
    }
}

extension Server {
    var address: SocketAddress { localAddresses[0] }
    var port: UInt16 { address.port! }
}
