/// The memory that push-style transports receive into: one buffer per loop, passed to the protocol during the call.
struct ReceiveBuffer: ~Copyable {
    /// Larger buffers save system calls on bulk transfers: a quarter of the CPU time at messages of 128 KiB. asyncio:
    /// `max_size`.
    static let byteCount = 256 * 1024

    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// The buffer, which is allocated at the first use.
    var bytes: UnsafeMutableRawBufferPointer {
        @inline(__always)
        mutating get {
            if memory.baseAddress == nil { allocate() }
            return memory
        }
    }

    @inline(never)
    private mutating func allocate() {
        memory = .allocate(byteCount: Self.byteCount, alignment: 64)
    }

    deinit { memory.deallocate() }
}
