import AsyncIO

/// Scrambles bytes, and sends them in frames of a length in two bytes and a payload. A frame without a payload ends the
/// bytes. Each side sends a greeting first.
final class ScramblingFilter: StreamFilter {
    enum Failure: Error {
        case wrongGreeting
        /// EOF came before the last frame.
        case truncated
    }

    private static let greeting: UInt8 = 0x2a
    private static let key: UInt8 = 0x5a
    private static let longestPayload = 4096

    private(set) var isEstablished = false
    let establishmentTimeout: Duration? = .seconds(10)
    private var hasGreeted = false
    /// The first byte of a length whose second byte is missing.
    private var firstLengthByte: UInt8?
    /// The bytes that are missing of the frame that is being received.
    private var missingBytes = 0

    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) throws -> StreamFilterResult {
        if !hasGreeted {
            hasGreeted = true
            replies.append(Self.greeting)
        }
        var consumed = 0
        while consumed < input.byteCount {
            if missingBytes > 0 {
                let count = min(missingBytes, input.byteCount - consumed, output.freeCapacity)
                if count == 0 { return StreamFilterResult(consumedBytes: consumed, needsRoom: true) }
                scramble(input, from: consumed, count, into: &output)
                missingBytes -= count
                consumed += count
                continue
            }
            let byte = input.unsafeLoad(fromByteOffset: consumed, as: UInt8.self)
            consumed += 1
            if !isEstablished {
                if byte != Self.greeting { throw Failure.wrongGreeting }
                isEstablished = true
            } else if let first = firstLengthByte {
                firstLengthByte = nil
                missingBytes = Int(first) << 8 | Int(byte)
                if missingBytes == 0 { return StreamFilterResult(consumedBytes: consumed, hasEnded: true) }
            } else {
                firstLengthByte = byte
            }
        }
        return StreamFilterResult(consumedBytes: consumed)
    }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        var consumed = 0
        // A length and one byte at least.
        while consumed < input.byteCount, output.freeCapacity >= 3 {
            let count = min(Self.longestPayload, input.byteCount - consumed, output.freeCapacity - 2)
            output.append(UInt8(count >> 8))
            output.append(UInt8(count & 0xff))
            scramble(input, from: consumed, count, into: &output)
            consumed += count
        }
        return StreamFilterResult(consumedBytes: consumed, needsRoom: consumed < input.byteCount)
    }

    func finish(into output: inout OutputRawSpan) {
        output.append(UInt8(0))
        output.append(UInt8(0))
    }

    func receivedEOF() throws {
        throw Failure.truncated
    }

    private func scramble(_ input: RawSpan, from start: Int, _ count: Int, into output: inout OutputRawSpan) {
        output.withUnsafeMutableBytes { bytes, initializedCount in
            input.withUnsafeBytes { source in
                for offset in 0..<count { bytes[initializedCount + offset] = source[start + offset] ^ Self.key }
            }
            initializedCount += count
        }
    }
}
