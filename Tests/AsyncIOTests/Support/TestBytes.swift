#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

// In a debug build, and more so under a sanitizer, the standard library's generic functions take many times as long per
// byte as these.

/// Returns bytes whose order can be checked, because pieces of usual sizes do not repeat.
func pattern(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes += patternPiece.prefix(count - bytes.count) }
    return bytes
}

private let patternPiece = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

extension Sequence where Element == [UInt8] {
    /// All bytes, one array after the other.
    var bytes: [UInt8] { reduce(into: []) { $0 += $1 } }
}

extension UnsafeRawBufferPointer {
    func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let start = baseAddress, let otherStart = other.baseAddress else { return true }
        return memcmp(start, otherStart, count) == 0
    }

    func isFilled(with byte: UInt8) -> Bool {
        // All are equal if the first is right, and each one is equal to the next.
        guard let start = baseAddress, count > 0 else { return true }
        return self[0] == byte && memcmp(start, start + 1, count - 1) == 0
    }
}
