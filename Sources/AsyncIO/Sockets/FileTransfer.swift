import AsyncIOSystem
import SystemPackage

/// A part of a regular file that is being sent, and how much of it was sent.
struct FileTransfer {
    let file: FileDescriptor
    let start: Int64
    private(set) var sentBytes = 0
    private(set) var unsentBytes: Int
    /// Whether the bytes are copied through this process, because the system cannot send them from the file.
    private(set) var isCopying = false
    private let allowsCopying: Bool

    /// Throws `.invalidArgument` for an offset or a number of bytes that no file has, and for what is no regular file.
    init(_ file: FileDescriptor, offset: Int64, maxBytes: Int?, allowsCopying: Bool) throws {
        if offset < 0 { throw Self.invalid("offset must not be negative, but is \(offset)") }
        if let maxBytes, maxBytes <= 0 { throw Self.invalid("maxBytes must be positive, but is \(maxBytes)") }
        let size: Int64
        do throws(Errno) {
            size = try file.regularFileSize()
        } catch .invalidArgument {
            throw Self.invalid("descriptor \(file.rawValue) is not a regular file")
        } catch {
            throw IOError(error, operation: "send the file with descriptor \(file.rawValue)")
        }
        self.file = file
        start = offset
        self.allowsCopying = allowsCopying
        unsentBytes = min(maxBytes ?? .max, Int(max(0, size - offset)))
    }

    private static func invalid(_ reason: String) -> EventLoopError {
        EventLoopError(.invalidArgument, "sendFile: \(reason)")
    }

    /// The offset of the first byte that was not sent.
    var offset: Int64 { start + Int64(sentBytes) }

    /// How many bytes the next call may send, at most a connection's share of an iteration.
    var nextByteCount: Int { min(unsentBytes, IterationShare.bytesPerIteration) }

    /// A call has sent so many bytes. None means that the file has become shorter.
    mutating func sent(_ count: Int) {
        sentBytes += count
        unsentBytes = count == 0 ? 0 : max(0, unsentBytes - count)
    }

    /// Copies from now on. Throws `.sendfileNotAvailable` if that is not allowed.
    mutating func cannotSendDirectly() throws(EventLoopError) {
        isCopying = true
        if allowsCopying || sentBytes > 0 { return }
        throw EventLoopError(
            .sendfileNotAvailable,
            "sendFile: the system cannot send descriptor \(file.rawValue) to this socket without a copy")
    }

    /// Reads the next bytes. Returns 0 if the file has become shorter.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(IOError) -> Int {
        do throws(Errno) {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, nextByteCount)])
            return try file.readBytes(at: offset, into: room)
        } catch {
            throw IOError(error, operation: "read the file with descriptor \(file.rawValue) to send it")
        }
    }

    /// Moves the file's position behind the last byte that was sent, as asyncio does.
    func finish() { if sentBytes > 0 { try? file.setPosition(offset) } }
}

extension IOResult {
    /// Whether the system cannot send from this file, or to this socket.
    var saysSendfileIsNotAvailable: Bool {
        guard case .failed(let error) = self else { return false }
        return [.invalidArgument, .noFunction, .notSupported, .notSupportedOnSocket, .overflow].contains(error)
    }
}
