extension ProactorOperation {
    /// What an operation does.
    ///
    /// Later versions will add kinds. A proactor rejects a kind that it does not know with `EOPNOTSUPP`. A loop needs
    /// `accept`, `connect`, `receiveIntoPool`, `send` and `poll`.
    public struct Kind: Hashable, Sendable {
        fileprivate let name: StaticString
        private let number: UInt8

        private init(_ number: UInt8, _ name: StaticString) {
            self.number = number
            self.name = name
        }

        public static func == (first: Kind, second: Kind) -> Bool { first.number == second.number }

        public func hash(into hasher: inout Hasher) { hasher.combine(number) }

        /// Accepts the clients of a listening socket. Completes once for each client, with its descriptor, which is
        /// non-blocking and closed on exec, until it is cancelled or fails. accept4(2).
        public static let accept = Kind(0, "accept")
        /// Connects a socket. Completes with 0. connect(2).
        public static let connect = Kind(1, "connect")
        /// Receives from a stream socket. Completes with the number of bytes, which is 0 at EOF. recv(2).
        public static let receive = Kind(2, "receive")
        /// Sends on a stream socket. Completes with the number of bytes that were sent, which may be less than all.
        /// send(2).
        public static let send = Kind(3, "send")
        /// Completes once, as soon as a descriptor is ready. The result is the raw value of a `Readiness`. poll(2).
        public static let poll = Kind(4, "poll")
        /// Receives from a stream socket into buffers of the proactor's pool. Completes for each arrival, with the
        /// number of bytes and the buffer, which belongs to the receiver of the completion. A completion without a
        /// buffer is the last one: 0 at EOF, an error, or `ENOBUFS` if the proactor had no buffer. Unless it was EOF or
        /// an error, the operation may be submitted again. recv(2).
        public static let receiveIntoPool = Kind(5, "receive into the pool")
        /// Receives a message with its sender and control data. Completes with the number of bytes. recvmsg(2).
        public static let receiveMessage = Kind(6, "receive message")
        /// Sends a message. Completes with the number of bytes. sendmsg(2).
        public static let sendMessage = Kind(7, "send message")
        /// Reads from a file, at an offset or its current position. Completes with the number of bytes, which is 0 at
        /// EOF. pread(2), read(2).
        public static let read = Kind(8, "read")
        /// Writes to a file. Completes with the number of bytes. pwrite(2), write(2).
        public static let write = Kind(9, "write")
        /// Writes a file's cached data to its device. Completes with 0. fsync(2), fdatasync(2).
        public static let fsync = Kind(10, "fsync")
        /// Opens a file, closed on exec. Completes with its descriptor. open(2).
        public static let open = Kind(11, "open")
        /// Reads the status of a file. Completes with 0. stat(2).
        public static let stat = Kind(12, "stat")
        /// Moves bytes between two descriptors without copying them to memory of the program. Completes with the number
        /// of bytes, which is 0 at EOF. May fail with `EAGAIN` if a non-blocking target is full. splice(2).
        public static let splice = Kind(13, "splice")
        /// Waits until a child has ended, and reaps it. Completes with 0. waitid(2) with `P_PIDFD` and `WEXITED`.
        public static let waitForChild = Kind(14, "wait for child")
        /// Closes a descriptor. Completes with 0. close(2).
        public static let close = Kind(15, "close")

        /// Receives messages with their senders into buffers of the proactor's pool, for datagram sockets. Completes
        /// for each message, with the number of bytes of the buffer that are in use, see ``PooledMessage``. A
        /// completion without a buffer is the last one: an error, or `ENOBUFS` if the proactor had no buffer. The
        /// operation may then be submitted again. Optional: see ``BaseProactor/receivesMessages``. recvmsg(2).
        public static let receiveMessages = Kind(16, "receive messages")

        var hasOffset: Bool { self == .read || self == .write || self == .splice }
    }
}

extension ProactorOperation.Kind: CustomStringConvertible {
    /// The name, such as `receive`.
    public var description: String { "\(name)" }
}
