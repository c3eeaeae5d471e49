/// A protocol that lends its own memory: the bytes come straight into it. asyncio: `BufferedProtocol`.
///
/// Instead of `dataReceived`, which it has already, it implements `withReadBuffer` and `bufferUpdated`:
///
/// ```swift
/// final class Frames: BufferedStreamProtocol {
///     private var buffer = [UInt8](repeating: 0, count: 64 * 1024)
///     func connectionMade(_ transport: StreamTransport) {}
///     func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) {
///         buffer.withUnsafeMutableBytes(receive)
///     }
///     func bufferUpdated(byteCount: Int) { parse(buffer[..<byteCount]) }
///     func connectionLost(_ error: (any Error)?) {}
/// }
/// ```
///
/// These four have no default implementation, so the compiler refuses a misspelt one.
///
/// On a readiness loop the kernel writes into the lent memory; a completion loop copies, since the memory must not move
/// while the kernel has it.
public protocol BufferedStreamProtocol: StreamProtocol {
    /// Calls `receive`, once, with the memory that the next bytes are to go to. asyncio: `get_buffer`.
    ///
    /// The memory is lent for the time of that call. Lending none, or an empty piece, ends the connection with a
    /// report. The hint is a good size; any other will do.
    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) throws

    /// The first `byteCount` bytes of the memory that was lent last are new. Never 0. asyncio: `buffer_updated`.
    func bufferUpdated(byteCount: Int) throws
}

extension BufferedStreamProtocol {
    /// Copies `data` into the lent memory, in as many pieces as it takes.
    public func dataReceived(_ data: RawSpan) throws {
        try data.withUnsafeBytes { bytes in
            var taken = 0
            while taken < bytes.count {
                taken += try copy(UnsafeRawBufferPointer(rebasing: bytes[taken...]))
            }
        }
    }

    /// Copies what fits of `bytes`, and says so. How many that were.
    func copy(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        let count = try lend(sizeHintBytes: bytes.count) { memory in
            let fitting = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, memory.count)])
            memory.copyMemory(from: fitting)
            return fitting.count
        }
        try bufferUpdated(byteCount: count)
        return count
    }

    /// Calls `fill` with the lent memory.
    @inline(__always)
    func lend<Result>(sizeHintBytes: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Result) throws -> Result {
        var result: Result?
        try withReadBuffer(sizeHintBytes: sizeHintBytes) { memory in
            // A receive into no memory would look like the peer's end.
            guard result == nil, !memory.isEmpty else { return }
            result = fill(memory)
        }
        guard let result else { throw EventLoopError(.invalidArgument, "withReadBuffer() lent no memory") }
        return result
    }
}
