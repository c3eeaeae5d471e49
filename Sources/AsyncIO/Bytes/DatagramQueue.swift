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

        var addressStart: Int { MemoryLayout<Header>.size }
        var bytesStart: Int { addressStart + Self.aligned(Int(addressLength)) }
        /// A multiple of 8, so that each record and each address is aligned.
        var recordBytes: Int { bytesStart + Self.aligned(Int(byteCount)) }

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
        let record = records.extend(by: header.recordBytes)
        record.storeBytes(of: header, as: Header.self)
        if let source = address.baseAddress {
            (record + header.addressStart).copyMemory(from: source, byteCount: Int(header.addressLength))
        }
        if let source = bytes.baseAddress {
            (record + header.bytesStart).copyMemory(from: source, byteCount: Int(header.byteCount))
        }
        count &+= 1
        payloadBytes &+= bytes.count
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?) {
        guard let address else { return append(bytes, address: UnsafeRawBufferPointer(start: nil, count: 0)) }
        address.withCAddress { append(bytes, address: UnsafeRawBufferPointer(start: $0, count: Int($1))) }
    }

    /// Calls `body` with at most `limit` datagrams in order, in memory that is valid until the next change. Returns
    /// their number.
    func forEach(
        atMost limit: Int,
        _ body: (_ index: Int, _ bytes: UnsafeRawBufferPointer, _ address: UnsafeRawBufferPointer) -> Void
    ) -> Int {
        var rest = records.bytes
        for index in 0..<min(limit, count) {
            let (header, bytes, address) = Self.first(of: rest)
            body(index, bytes, address)
            rest = UnsafeRawBufferPointer(rebasing: rest[header.recordBytes...])
        }
        return min(limit, count)
    }

    /// The first datagram and its address, in memory that is valid until the next change. The queue must not be empty.
    var first: (bytes: UnsafeRawBufferPointer, address: UnsafeRawBufferPointer) {
        let (_, bytes, address) = Self.first(of: records.bytes)
        return (bytes, address)
    }

    private static func first(
        of records: UnsafeRawBufferPointer
    ) -> (header: Header, bytes: UnsafeRawBufferPointer, address: UnsafeRawBufferPointer) {
        let header = records.load(as: Header.self)
        let bytes = records[header.bytesStart..<(header.bytesStart + Int(header.byteCount))]
        let address = records[header.addressStart..<(header.addressStart + Int(header.addressLength))]
        return (header, UnsafeRawBufferPointer(rebasing: bytes), UnsafeRawBufferPointer(rebasing: address))
    }

    mutating func removeFirst(_ removed: Int = 1) {
        for _ in 0..<min(removed, count) {
            let header = records.bytes.load(as: Header.self)
            records.removeFirst(header.recordBytes)
            count &-= 1
            payloadBytes &-= Int(header.byteCount)
        }
    }

    mutating func removeAll() {
        records.removeAll()
        count = 0
        payloadBytes = 0
    }
}
