import AsyncIOSystem

/// A queue of datagrams with their addresses, in one piece of memory, which exists only while datagrams wait.
///
/// Its size is computed from what is in it, so it cannot drift. Each datagram counts as 64 bytes more than it has, so
/// that empty ones count too.
struct DatagramQueue: ~Copyable {
    private static let bytesPerDatagram = 64

    private struct Header {
        var byteCount: UInt32
        var addressLength: UInt32

        /// A multiple of 8, so that each record and each address is aligned.
        var recordBytes: Int {
            MemoryLayout<Header>.size + Self.aligned(Int(addressLength)) + Self.aligned(Int(byteCount))
        }

        static func aligned(_ count: Int) -> Int { (count + 7) & ~7 }
    }

    private var records = WriteQueue()
    private(set) var count = 0
    private var payloadBytes = 0

    var isEmpty: Bool { count == 0 }

    /// The size that limits apply to.
    var byteCount: Int { payloadBytes + count * Self.bytesPerDatagram }

    /// - Parameter address: The C structure of the address; empty for none.
    mutating func append(_ bytes: UnsafeRawBufferPointer, address: UnsafeRawBufferPointer) {
        let header = Header(byteCount: UInt32(clamping: bytes.count), addressLength: UInt32(clamping: address.count))
        records.reserve(header.recordBytes)
        withUnsafeBytes(of: header) { records.append($0) }
        appendAligned(address)
        appendAligned(bytes)
        count += 1
        payloadBytes += bytes.count
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) {
        guard let address else { return append(bytes, address: UnsafeRawBufferPointer(start: nil, count: 0)) }
        address.withCAddress { append(bytes, address: UnsafeRawBufferPointer(start: $0, count: Int($1))) }
    }

    private mutating func appendAligned(_ bytes: UnsafeRawBufferPointer) {
        records.append(bytes)
        let padding: UInt64 = 0
        let count = Header.aligned(bytes.count) - bytes.count
        withUnsafeBytes(of: padding) { records.append(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    /// Calls `body` with at most `limit` datagrams in order, in memory that is valid until the next change. Returns
    /// their number.
    func forEach(
        atMost limit: Int,
        _ body: (_ index: Int, _ bytes: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer) -> Void
    ) -> Int {
        var rest = records.bytes
        for index in 0..<min(limit, count) {
            let header = rest.load(as: Header.self)
            let addressStart = MemoryLayout<Header>.size
            let start = addressStart + Header.aligned(Int(header.addressLength))
            body(
                index, UnsafeRawBufferPointer(rebasing: rest[start..<(start + Int(header.byteCount))]),
                UnsafeRawBufferPointer(rebasing: rest[addressStart..<(addressStart + Int(header.addressLength))]))
            rest = UnsafeRawBufferPointer(rebasing: rest[header.recordBytes...])
        }
        return min(limit, count)
    }

    mutating func removeFirst(_ removed: Int) {
        for _ in 0..<min(removed, count) {
            let header = records.bytes.load(as: Header.self)
            records.removeFirst(header.recordBytes)
            count -= 1
            payloadBytes -= Int(header.byteCount)
        }
    }

    mutating func removeAll() {
        records.removeAll()
        count = 0
        payloadBytes = 0
    }
}
