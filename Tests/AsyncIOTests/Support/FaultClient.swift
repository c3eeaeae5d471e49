import AsyncIO
import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// A client of an echo server, on a thread of its own: messages, then many bytes, then EOF in both directions.
final class FaultClient: @unchecked Sendable {
    enum Result: Equatable {
        /// Every byte came back, and then EOF.
        case exact
        /// The connection ended before; what had come back was right.
        case ended
        case wrong(String)
    }

    /// How long bytes may take before they count as missing.
    private static let patience: Int64 = 20_000_000_000
    private static let messageBytes = 64

    private let address: SocketAddress
    private let bytes: [UInt8]
    private var sent = 0
    private var received = 0
    private var result = Result.exact
    private let isDone = Flag()

    private init(_ address: SocketAddress, _ byteCount: Int) {
        self.address = address
        bytes = pattern(byteCount)
    }

    /// Returns when the client has ended. The task is on the server's loop.
    static func converse(with address: SocketAddress, byteCount: Int, on loop: EventLoop) async throws -> Result {
        let client = FaultClient(address, byteCount)
        let thread = OtherThread { client.run() }
        while !client.isDone.isSet { try await loop.sleep(for: .milliseconds(2)) }
        thread.join()
        return client.result
    }

    private func run() {
        defer { isDone.set() }
        do {
            let socket = try Socket.stream(for: address)
            defer { socket.close() }
            // Small, so that the server's sends do not move everything at once.
            try socket.setOption(.receiveBufferBytes, to: 16 * 1024)
            try socket.setNonBlocking(false)
            _ = try socket.connect(to: address)
            try socket.setNonBlocking(true)
            for number in 1...3 where result == .exact { exchange(on: socket, upTo: number * Self.messageBytes) }
            exchange(on: socket, upTo: bytes.count)
            if result == .exact { try socket.shutdownWrite() }
            if result == .exact { expectEOF(on: socket) }
        } catch {
            result = .ended
        }
    }

    /// Sends up to a position, and receives as much.
    private func exchange(on socket: Socket, upTo end: Int) {
        while received < end, result == .exact {
            guard isReady(socket, Int16(AIO_POLLIN) | (sent < end ? Int16(AIO_POLLOUT) : 0)) else { return }
            bytes.withUnsafeBytes { bytes in
                if sent < end, case .bytes(let count) = socket.send(UnsafeRawBufferPointer(rebasing: bytes[sent..<end]))
                {
                    sent += count
                }
            }
            receive(on: socket)
        }
    }

    private func receive(on socket: Socket) {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { buffer in
            switch socket.receive(into: buffer) {
            case .bytes(0), .failed: result = .ended
            case .wouldBlock: break
            case .bytes(let count):
                let isExact = bytes.withUnsafeBytes { bytes in
                    UnsafeRawBufferPointer(rebasing: buffer[..<count])
                        .hasSameBytes(as: UnsafeRawBufferPointer(rebasing: bytes[received...].prefix(count)))
                }
                if !isExact { result = .wrong("other bytes came back after \(received)") }
                received += count
            }
        }
    }

    private func expectEOF(on socket: Socket) {
        guard isReady(socket, Int16(AIO_POLLIN)) else { return }
        var byte: UInt8 = 0
        switch withUnsafeMutableBytes(of: &byte, { socket.receive(into: $0) }) {
        case .bytes(0): break
        case .bytes: result = .wrong("more bytes came back than were sent")
        default: result = .ended
        }
    }

    private func isReady(_ socket: Socket, _ events: Int16) -> Bool {
        var entry = pollfd(fd: socket.number, events: events, revents: 0)
        if aio_poll_wait(&entry, 1, Self.patience) == 1 { return true }
        result = .wrong("nothing comes back after \(received) of \(bytes.count) bytes")
        return false
    }
}
