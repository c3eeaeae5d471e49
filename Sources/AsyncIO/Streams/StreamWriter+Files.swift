public import SystemPackage

extension StreamWriter {
    /// Sends a regular file, or a part of it, when this write is scheduled; everything else is as in
    /// ``StreamTransport/sendFile(_:offset:maxBytes:allowsCopying:)``.
    @discardableResult
    public func sendFile(
        _ file: FileDescriptor, offset: Int64 = 0, maxBytes: Int? = nil, allowsCopying: Bool = true
    ) async throws -> Int {
        try await transport.sendFile(file, offset: offset, maxBytes: maxBytes, allowsCopying: allowsCopying)
    }
}
