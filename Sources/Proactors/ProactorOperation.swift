public import AsyncIOSystem
public import SystemPackage

/// An operation that a proactor carries out.
///
/// The memory of the operation belongs to the submitter. It must stay valid until the last completion has arrived, also
/// after a cancellation. The proactor copies an address.
public struct ProactorOperation {
    /// What an operation does.
    ///
    /// Later versions will add kinds. A proactor rejects a kind that it does not know with `EOPNOTSUPP`.
    public struct Kind: Hashable, Sendable {
        fileprivate let number: UInt8

        /// Accepts the clients of a listening socket. Completes once for each client, with its descriptor, which is
        /// non-blocking and closed on exec, until it is cancelled or fails. accept4(2).
        public static let accept = Kind(number: 0)
        /// Connects a socket. Completes with 0. connect(2).
        public static let connect = Kind(number: 1)
        /// Receives from a stream socket. Completes with the number of bytes, which is 0 at EOF. recv(2).
        public static let receive = Kind(number: 2)
        /// Sends on a stream socket. Completes with the number of bytes that were sent, which may be less than all.
        /// send(2).
        public static let send = Kind(number: 3)
        /// Completes once, as soon as a descriptor is ready. The result is the raw value of a `Readiness`. poll(2).
        public static let poll = Kind(number: 4)
    }

    public let kind: Kind
    /// The descriptor concerned.
    public let descriptor: CInt
    /// The memory for received bytes, or the bytes to send, which the proactor only reads.
    public let memory: UnsafeMutableRawBufferPointer
    /// The address to connect to; `nil` for operations of another kind.
    public let address: SocketAddress?
    /// The events to poll for; empty for operations of another kind.
    public let interest: Interest

    private init(
        _ kind: Kind, _ descriptor: CInt, memory: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0),
        address: SocketAddress? = nil, interest: Interest = []
    ) {
        self.kind = kind
        self.descriptor = descriptor
        self.memory = memory
        self.address = address
        self.interest = interest
    }

    public static func accept(on socket: Socket) -> ProactorOperation { ProactorOperation(.accept, socket.number) }

    public static func connect(_ socket: Socket, to address: SocketAddress) -> ProactorOperation {
        ProactorOperation(.connect, socket.number, address: address)
    }

    public static func receive(from socket: Socket, into memory: UnsafeMutableRawBufferPointer) -> ProactorOperation {
        ProactorOperation(.receive, socket.number, memory: memory)
    }

    public static func send(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> ProactorOperation {
        ProactorOperation(.send, socket.number, memory: UnsafeMutableRawBufferPointer(mutating: bytes))
    }

    public static func poll(_ descriptor: FileDescriptor, for interest: Interest) -> ProactorOperation {
        ProactorOperation(.poll, descriptor.rawValue, interest: interest)
    }
}

extension ProactorOperation.Kind: CustomStringConvertible {
    /// The name, such as `receive`.
    public var description: String {
        switch self {
        case .accept: "accept"
        case .connect: "connect"
        case .receive: "receive"
        case .send: "send"
        case .poll: "poll"
        default: "operation \(number)"
        }
    }
}

extension ProactorOperation: CustomStringConvertible {
    /// Such as `receive up to 65536 bytes on fd=7`.
    public var description: String {
        switch kind {
        case .accept: "accept on fd=\(descriptor)"
        case .connect: "connect fd=\(descriptor) to \(address.map { "\($0)" } ?? "no address")"
        case .receive: "receive up to \(memory.count) bytes on fd=\(descriptor)"
        case .send: "send \(memory.count) bytes on fd=\(descriptor)"
        case .poll: "poll fd=\(descriptor) for \(interest)"
        default: "operation on fd=\(descriptor)"
        }
    }
}
