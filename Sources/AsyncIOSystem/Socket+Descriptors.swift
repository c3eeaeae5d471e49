import CAsyncIO
public import SystemPackage

/// What a unix socket has received together with descriptors.
public struct ReceivedDescriptors: Sendable {
    /// The number of bytes; 0 at EOF.
    public var result: IOResult
    /// They belong to the caller, who closes them. They are closed on exec.
    public var descriptors: [FileDescriptor]
    /// Whether there were more descriptors than were asked for, or than the process may have. Then none is left: those
    /// that arrived were closed.
    public var wereTooMany: Bool

    package init(_ result: IOResult, _ descriptors: [FileDescriptor] = [], wereTooMany: Bool = false) {
        self.result = result
        self.descriptors = descriptors
        self.wereTooMany = wereTooMany
    }
}

extension ReceivedDescriptors: CustomStringConvertible {
    /// Such as `bytes(5) with 2 descriptors`.
    public var description: String {
        "\(result) with \(wereTooMany ? "too many" : "\(descriptors.count)") descriptors"
    }
}

/// Passing descriptors to another process: SCM_RIGHTS in unix(7).
extension Socket {
    /// The most descriptors that one message can contain.
    public static let mostDescriptorsPerMessage = Int(AIO_MOST_DESCRIPTORS)

    /// Sends bytes, at least one on a stream, together with descriptors. sendmsg(2).
    ///
    /// If a part of the bytes was sent, the descriptors were sent with it. They stay open here.
    public func send(_ bytes: UnsafeRawBufferPointer, with descriptors: [FileDescriptor]) -> IOResult {
        guard descriptors.count <= Self.mostDescriptorsPerMessage else { return .failed(.invalidArgument) }
        var nothing: UInt8 = 0
        return withUnsafePointer(to: &nothing) { nothing in
            descriptors.map(\.rawValue).withUnsafeBufferPointer { numbers in
                IOResult(
                    cResult: aio_send_descriptors(
                        number, bytes.baseAddress ?? .init(nothing), bytes.count, numbers.baseAddress,
                        CInt(numbers.count)))
            }
        }
    }

    /// Receives bytes into `buffer`, which must not be empty, with at most `maxDescriptors` descriptors. recvmsg(2).
    public func receive(into buffer: UnsafeMutableRawBufferPointer, maxDescriptors: Int) -> ReceivedDescriptors {
        guard let base = buffer.baseAddress else { return ReceivedDescriptors(.bytes(0)) }
        let capacity = min(max(maxDescriptors, 0), Self.mostDescriptorsPerMessage)
        return withUnsafeTemporaryAllocation(of: CInt.self, capacity: Self.mostDescriptorsPerMessage) { numbers in
            guard let list = numbers.baseAddress else { return ReceivedDescriptors(.bytes(0)) }
            var count: CInt = 0
            let result = aio_receive_descriptors(number, base, buffer.count, list, CInt(capacity), &count)
            let received = (0..<Int(max(count, 0))).map { FileDescriptor(rawValue: numbers[$0]) }
            return ReceivedDescriptors(IOResult(cResult: result), received, wereTooMany: count < 0)
        }
    }
}
