import AsyncIO
import SystemPackage

/// Sends back what it gets, in push style.
final class EchoProtocol: StreamProtocol {
    private var transport: StreamTransport?

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) { transport?.write(data) }
    func connectionLost(_ error: (any Error)?) { transport = nil }
}

extension EventLoop {
    /// Lets the loop run until `condition` holds; the test's time limit ends it otherwise.
    func until(_ condition: () -> Bool) async {
        while !condition() { await yield() }
    }
}

extension StreamReader {
    /// Everything up to the end.
    func readToEnd() async throws -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while let count = try await read(into: &buffer) { all += buffer[..<count] }
        return all
    }
}

extension Server {
    var port: UInt16 { localAddresses[0].port! }
}

/// Sockets of this machine that are open somewhere and have `port` at one of their ends: descriptors that leaked.
///
/// Counted in the kernel's table, since the descriptors of this process also come and go with other tests.
func openSockets(onPort port: UInt16) throws -> Int {
    let file = try FileDescriptor.open("/proc/self/net/tcp", .readOnly)
    defer { try? file.close() }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while case let count = try buffer.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
        bytes += buffer[..<count]
    }
    let hex = ":" + String(Int(port) + 0x10000, radix: 16, uppercase: true).dropFirst()
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().count { line in
        let fields = line.split(separator: " ")
        // Local and remote address; the inode is zero when no descriptor is left.
        return fields.count > 9 && (fields[1].hasSuffix(hex) || fields[2].hasSuffix(hex)) && fields[9] != "0"
    }
}
