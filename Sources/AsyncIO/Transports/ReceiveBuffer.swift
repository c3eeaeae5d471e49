/// What push-style transports receive into: one buffer per loop, lent to the protocol for the time of the call.
final class ReceiveBuffer {
    /// Larger buffers save system calls on bulk transfers: a quarter of the CPU time at 128 KiB messages. asyncio: `max_size`.
    static let byteCount = 256 * 1024

    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)

    deinit {
        bytes.deallocate()
    }
}
