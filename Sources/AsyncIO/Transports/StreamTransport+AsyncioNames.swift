extension StreamTransport {
    /// Returns ``protocol``. asyncio: `get_protocol`.
    public func getProtocol() -> (any StreamProtocol)? { `protocol` }

    /// Sets ``protocol``. asyncio: `set_protocol`.
    public func setProtocol(_ newProtocol: any StreamProtocol) { `protocol` = newProtocol }

    /// Returns ``writeBufferLimits``. asyncio: `get_write_buffer_limits`.
    public func getWriteBufferLimits() -> (lowBytes: Int, highBytes: Int) { writeBufferLimits }

    /// Returns ``writeBufferBytes``, in bytes. asyncio: `get_write_buffer_size`.
    public func getWriteBufferSize() -> Int { writeBufferBytes }
}
