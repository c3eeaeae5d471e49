/// What push-style transports receive into: one buffer per loop, lent to the protocol for the time of the call.
struct ReceiveBuffer: ~Copyable {
    /// Larger buffers save system calls on bulk transfers: a quarter of the CPU time at 128 KiB messages. asyncio:
    /// `max_size`.
    static let byteCount = 256 * 1024

    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    /// Allocated when it is needed first.
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

    deinit {
        memory.deallocate()
    }
}
