public import AsyncIOSystem
import CAsyncIO

/// A message in a buffer of the pool, as an operation of the kind ``ProactorOperation/Kind/receiveMessages`` passes it
/// on.
///
/// The buffer begins with four integers of 32 bits: the length of the sender's address, 0, the number of bytes of the
/// message, and the flags of recvmsg(2), of which only `MSG_TRUNC` matters. The address follows, in 128 bytes, and then
/// the message. io_uring(7) calls this `struct io_uring_recvmsg_out`.
///
/// A value that owns nothing: the buffer belongs to the receiver of the completion.
@frozen
public struct PooledMessage {
    /// The number of bytes before the message.
    public static var headerBytes: Int { addressOffset + MemoryLayout<sockaddr_storage>.size }
    private static var addressOffset: Int { 16 }

    public let buffer: PooledBuffer
    /// How many bytes of the buffer are in use; the result of the operation.
    public let usedBytes: Int

    public init(_ buffer: PooledBuffer, usedBytes: Int) {
        self.buffer = buffer
        self.usedBytes = usedBytes
    }

    /// Where a proactor receives the message.
    public static func room(in buffer: PooledBuffer) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[headerBytes...])
    }

    /// Writes the header of a message that was received into ``room(in:)``.
    public init(in buffer: PooledBuffer, byteCount: Int, isTruncated: Bool, sender: SocketAddress?) {
        let addressLength = sender.map { $0.write(to: buffer.memory + Self.addressOffset) } ?? 0
        let flags = isTruncated ? AIO_MESSAGE_TRUNCATED : 0
        for (index, value) in [UInt32(addressLength), 0, UInt32(byteCount), flags].enumerated() {
            buffer.memory.storeBytes(of: value, toByteOffset: 4 * index, as: UInt32.self)
        }
        self.init(buffer, usedBytes: Self.headerBytes + byteCount)
    }

    /// The bytes of the message.
    public var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: buffer.memory + Self.headerBytes, count: max(usedBytes - Self.headerBytes, 0))
    }

    /// The C structure of the sender's address.
    package var address: UnsafeRawPointer { UnsafeRawPointer(buffer.memory + Self.addressOffset) }
    /// 0 for a sender without an address.
    package var addressLength: Int {
        min(Int(buffer.memory.load(as: UInt32.self)), SocketAddress.mostBytes)
    }

    /// Whether the message had more bytes than the buffer has room for. They are lost.
    public var isTruncated: Bool {
        buffer.memory.load(fromByteOffset: 12, as: UInt32.self) & AIO_MESSAGE_TRUNCATED != 0
    }
}

extension PooledMessage: CustomStringConvertible {
    /// Such as `message of 5 bytes in a buffer of 256 KiB`.
    public var description: String {
        "message of \(bytes.count) bytes in a \(buffer)\(isTruncated ? ", truncated" : "")"
    }
}
