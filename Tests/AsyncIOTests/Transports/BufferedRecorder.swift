import AsyncIO

/// A protocol that lends its own memory, and whose reactions the test defines.
final class BufferedRecorder: BufferedStreamProtocol {
    struct ExampleError: Error {}

    private(set) var transport: StreamTransport?
    private(set) var received: [UInt8] = []
    private(set) var pieces: [Int] = []
    private(set) var hints: [Int] = []
    private(set) var losses = 0
    private(set) var loss: (any Error)?
    private(set) var sawEnd = false
    var buffer: [UInt8]
    /// Called instead of lending the whole buffer.
    var lends: ((UnsafeMutableRawBufferPointer, (UnsafeMutableRawBufferPointer) -> Void) throws -> Void)?
    var reaction: ((StreamTransport) throws -> Void)?

    init(bufferBytes: Int = 64 * 1024) {
        buffer = [UInt8](repeating: 0, count: bufferBytes)
    }

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }

    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) throws {
        hints.append(sizeHintBytes)
        try buffer.withUnsafeMutableBytes { memory in
            if let lends { try lends(memory, receive) } else { receive(memory) }
        }
    }

    func bufferUpdated(byteCount: Int) throws {
        pieces.append(byteCount)
        received += buffer[..<byteCount]
        if let transport { try reaction?(transport) }
    }

    func eofReceived() -> Bool {
        sawEnd = true
        return false
    }

    func connectionLost(_ error: (any Error)?) {
        losses += 1
        loss = error
        (transport, reaction, lends) = (nil, nil, nil)
    }
}
