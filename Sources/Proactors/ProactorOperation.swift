public import AsyncIOSystem
public import SystemPackage

/// An operation that a proactor carries out.
///
/// The memory of the operation belongs to the submitter. It must stay valid until the last completion has arrived, also
/// after a cancellation. The proactor copies an address and a path.
public struct ProactorOperation {
    public let kind: Kind
    /// The descriptor concerned; -1 for operations on a path.
    public let descriptor: CInt
    /// The memory for received bytes, or the bytes to send, which the proactor only reads. Or where the C structure of
    /// the operation is; then the count is 0.
    public let memory: UnsafeMutableRawBufferPointer
    private let number: Int64
    private let details: Details?

    public typealias Opening = (
        mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions, permissions: FilePermissions?
    )

    /// What only rare operations have.
    private final class Details {
        var address: SocketAddress?
        var path: FilePath?
        var target: (descriptor: CInt, offset: Int64, byteCount: Int)?
        var opening: Opening?
    }

    private init(
        _ kind: Kind, _ descriptor: CInt, _ memory: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0),
        number: Int64 = 0, _ describe: ((Details) -> Void)? = nil
    ) {
        self.kind = kind
        self.descriptor = descriptor
        self.memory = memory
        self.number = number
        details = describe.map { describe in
            let details = Details()
            describe(details)
            return details
        }
    }

    private init(_ kind: Kind, _ descriptor: CInt, structure: UnsafeMutableRawPointer) {
        self.init(kind, descriptor, UnsafeMutableRawBufferPointer(start: structure, count: 0))
    }

    // MARK: What else an operation has

    /// `connect`: the address.
    public var address: SocketAddress? { details?.address }
    /// `poll`: the events to poll for.
    public var interest: Interest { kind == .poll ? Interest(rawValue: UInt8(truncatingIfNeeded: number)) : [] }
    /// `receiveIntoPool` and `receiveMessages`: the size of the buffers.
    public var bufferSize: BufferPool.Size {
        kind == .receiveIntoPool || kind == .receiveMessages ? .init(index: Int(number)) : .small
    }
    /// `read`, `write` and `splice`: the offset in the file; `nil` for its current position, and for pipes, sockets and
    /// terminals.
    public var offset: Int64? { kind.hasOffset && number >= 0 ? number : nil }
    /// `fsync`: whether only what is needed to read the data back is written. fdatasync(2).
    public var isDataOnly: Bool { kind == .fsync && number != 0 }
    /// `open` and `stat`: the path.
    public var path: FilePath? { details?.path }
    /// `open`: how to open the file.
    public var opening: Opening? { details?.opening }
    /// `splice`: where the bytes go, and their number.
    public var target: (descriptor: CInt, offset: Int64?, byteCount: Int)? {
        details?.target.map { ($0.descriptor, $0.offset >= 0 ? $0.offset : nil, $0.byteCount) }
    }

    // MARK: Sockets

    /// Accepts the clients of a listening socket.
    public static func accept(on socket: Socket) -> ProactorOperation { ProactorOperation(.accept, socket.number) }

    public static func connect(_ socket: Socket, to address: SocketAddress) -> ProactorOperation {
        ProactorOperation(.connect, socket.number) { $0.address = address }
    }

    public static func receive(from socket: Socket, into memory: UnsafeMutableRawBufferPointer) -> ProactorOperation {
        ProactorOperation(.receive, socket.number, memory)
    }

    /// Receives into buffers of the proactor's pool, again and again.
    public static func receiveIntoPool(from socket: Socket, size: BufferPool.Size) -> ProactorOperation {
        ProactorOperation(.receiveIntoPool, socket.number, number: Int64(size.index))
    }

    /// Receives a message into what `header`, a C `msghdr`, refers to, and updates it as recvmsg(2) does.
    public static func receiveMessage(from socket: Socket, header: UnsafeMutableRawPointer) -> ProactorOperation {
        ProactorOperation(.receiveMessage, socket.number, structure: header)
    }

    /// Receives messages into buffers of the proactor's pool, again and again.
    public static func receiveMessages(from socket: Socket, size: BufferPool.Size) -> ProactorOperation {
        ProactorOperation(.receiveMessages, socket.number, number: Int64(size.index))
    }

    public static func send(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> ProactorOperation {
        ProactorOperation(.send, socket.number, UnsafeMutableRawBufferPointer(mutating: bytes))
    }

    /// Sends the message that `header`, a C `msghdr`, refers to.
    public static func sendMessage(header: UnsafeRawPointer, on socket: Socket) -> ProactorOperation {
        ProactorOperation(.sendMessage, socket.number, structure: UnsafeMutableRawPointer(mutating: header))
    }

    // MARK: Any descriptor

    public static func poll(_ descriptor: FileDescriptor, for interest: Interest) -> ProactorOperation {
        ProactorOperation(.poll, descriptor.rawValue, number: Int64(interest.rawValue))
    }

    public static func read(
        from descriptor: FileDescriptor, into memory: UnsafeMutableRawBufferPointer, at offset: Int64? = nil
    ) -> ProactorOperation {
        ProactorOperation(.read, descriptor.rawValue, memory, number: offset ?? -1)
    }

    public static func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: FileDescriptor, at offset: Int64? = nil
    ) -> ProactorOperation {
        ProactorOperation(
            .write, descriptor.rawValue, UnsafeMutableRawBufferPointer(mutating: bytes), number: offset ?? -1)
    }

    /// Moves bytes between two descriptors, of which at least one is a pipe.
    public static func splice(
        from source: FileDescriptor, at offset: Int64? = nil, to target: FileDescriptor,
        at targetOffset: Int64? = nil, byteCount: Int
    ) -> ProactorOperation {
        ProactorOperation(.splice, source.rawValue, number: offset ?? -1) {
            $0.target = (target.rawValue, targetOffset ?? -1, byteCount)
        }
    }

    public static func close(_ descriptor: FileDescriptor) -> ProactorOperation {
        ProactorOperation(.close, descriptor.rawValue)
    }

    // MARK: Files and processes

    public static func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions = [],
        permissions: FilePermissions? = nil
    ) -> ProactorOperation {
        ProactorOperation(.open, -1) {
            $0.path = path
            $0.opening = (mode, options, permissions)
        }
    }

    /// Writes the status of the file at the end of all symbolic links to `status`, a C `struct stat`.
    public static func stat(_ path: FilePath, into status: UnsafeMutableRawPointer) -> ProactorOperation {
        ProactorOperation(.stat, -1, UnsafeMutableRawBufferPointer(start: status, count: 0)) { $0.path = path }
    }

    public static func fsync(_ descriptor: FileDescriptor, dataOnly: Bool = false) -> ProactorOperation {
        ProactorOperation(.fsync, descriptor.rawValue, number: dataOnly ? 1 : 0)
    }

    /// Waits until the child of a process descriptor has ended, reaps it, and writes how it ended to `status`, a C
    /// `siginfo_t`.
    public static func waitForChild(
        _ descriptor: FileDescriptor, into status: UnsafeMutableRawPointer
    ) -> ProactorOperation {
        ProactorOperation(.waitForChild, descriptor.rawValue, structure: status)
    }
}

extension ProactorOperation: CustomStringConvertible {
    /// Such as `receive up to 65536 bytes on fd=7`.
    public var description: String {
        switch kind {
        case .connect: "connect fd=\(descriptor) to \(address.map { "\($0)" } ?? "no address")"
        case .receive, .read: "\(kind) up to \(memory.count) bytes on fd=\(descriptor)\(place)"
        case .receiveIntoPool: "receive up to \(bufferSize.byteCount) bytes on fd=\(descriptor)"
        case .receiveMessages:
            "receive messages of up to \(bufferSize.byteCount - PooledMessage.headerBytes) bytes on fd=\(descriptor)"
        case .send, .write: "\(kind) \(memory.count) bytes on fd=\(descriptor)\(place)"
        case .poll: "poll fd=\(descriptor) for \(interest)"
        case .splice:
            "splice \(target?.byteCount ?? 0) bytes from fd=\(descriptor)\(place) to fd=\(target?.descriptor ?? -1)"
        case .open, .stat: "\(kind) \(path.map { "\($0)" } ?? "no path")"
        default: "\(kind) on fd=\(descriptor)"
        }
    }

    private var place: String { offset.map { " at \($0)" } ?? "" }
}
