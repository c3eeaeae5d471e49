/// The format of the length that precedes a frame: an unsigned integer in network byte order (big-endian), the number
/// of bytes of the frame without its own.
public struct LengthPrefix: Sendable, Hashable, CustomStringConvertible {
    /// The number of bytes of the length.
    public let byteCount: Int

    private init(byteCount: Int) { self.byteCount = byteCount }

    /// One byte; frames of up to 255 bytes.
    public static let uint8 = LengthPrefix(byteCount: 1)
    /// Two bytes; frames of up to 65,535 bytes.
    public static let uint16 = LengthPrefix(byteCount: 2)
    /// Four bytes; frames of up to 4 GiB less one byte.
    public static let uint32 = LengthPrefix(byteCount: 4)
    /// Eight bytes; frames of any length.
    public static let uint64 = LengthPrefix(byteCount: 8)

    func encoded(_ length: Int) throws(EventLoopError) -> [UInt8] {
        if byteCount < 8, length >> (8 * byteCount) != 0 {
            throw EventLoopError(
                .invalidArgument, "the length of a frame of \(length) bytes does not fit into \(byteCount) bytes")
        }
        let bigEndian = UInt64(length).bigEndian
        return withUnsafeBytes(of: bigEndian) { [UInt8]($0[(8 - byteCount)...]) }
    }

    func frame(_ bytes: RawSpan) throws(EventLoopError) -> [UInt8] {
        let prefix = try encoded(bytes.byteCount)
        return bytes.withUnsafeBytes { bytes in
            [UInt8](unsafeUninitializedCapacity: prefix.count + bytes.count) { buffer, initializedCount in
                let memory = UnsafeMutableRawBufferPointer(buffer)
                memory.copyBytes(from: prefix)
                UnsafeMutableRawBufferPointer(rebasing: memory[prefix.count...]).copyMemory(from: bytes)
                initializedCount = memory.count
            }
        }
    }

    /// Returns the length at the beginning of `bytes`, which must be complete.
    func length(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes[..<byteCount].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Such as `uint16`.
    public var description: String { "uint\(8 * byteCount)" }
}
