/// A protocol that lends its own memory to receive into. asyncio: `BufferedProtocol`.
///
/// It implements `withReadBuffer` and `bufferUpdated` instead of `dataReceived`, which has a default implementation:
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
/// These four methods have no default implementation, so the compiler rejects a misspelt name. On a selector loop the
/// kernel writes straight into the lent memory. A proactor loop copies the bytes, because the memory would have to stay
/// in place for as long as the kernel uses it.
///
/// - Thread: the loop's.
public protocol BufferedStreamProtocol: StreamProtocol {
    /// Calls `receive` once with the memory that the next bytes are written to. asyncio: `get_buffer`.
    ///
    /// The memory is lent for the duration of that call. If the function does not call `receive`, or lends no bytes,
    /// the error is reported and the connection is aborted. `sizeHintBytes` is a good size; any other size is allowed.
    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) throws

    /// Reports that the first `byteCount` bytes, at least one, of the lent memory are new. asyncio: `buffer_updated`.
    func bufferUpdated(byteCount: Int) throws
}

extension BufferedStreamProtocol {
    /// Copies `data` into the lent memory, in as many pieces as necessary.
    public func dataReceived(_ data: RawSpan) throws {
        try data.withUnsafeBytes { bytes in
            var taken = 0
            while taken < bytes.count {
                taken += try copy(UnsafeRawBufferPointer(rebasing: bytes[taken...]))
            }
        }
    }

    /// Copies as many of `bytes` as fit into the lent memory, reports them, and returns their number.
    func copy(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        let count = try lend(sizeHintBytes: bytes.count) { memory in
            let fitting = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, memory.count)])
            memory.copyMemory(from: fitting)
            return fitting.count
        }
        try bufferUpdated(byteCount: count)
        return count
    }

    @inline(__always)
    func lend<Result>(sizeHintBytes: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Result) throws -> Result {
        var result: Result?
        try withReadBuffer(sizeHintBytes: sizeHintBytes) { memory in
            // A receive of 0 bytes would look like EOF.
            guard result == nil, !memory.isEmpty else { return }
            result = fill(memory)
        }
        guard let result else { throw EventLoopError(.invalidArgument, "withReadBuffer() lent no memory") }
        return result
    }
}
