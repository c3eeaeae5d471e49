package import AsyncIOSystem
package import CAsyncIO
package import SystemPackage

/// Moves the bytes of one channel: the part that differs between readiness and completion, and where filters belong.
///
/// To the layers above, every driver looks like a non-blocking descriptor: `receive` and `send` move as many bytes as
/// they can now, and the delegate is notified when they can move more.
/// - Thread: the loop's.
package class StreamDriver: EventSource {
    /// The steps of closing the channel, in this order.
    package enum Phase: Comparable {
        case open
        /// No more events are reported.
        case detached
        /// The descriptor is closed as soon as the kernel no longer uses the driver's memory.
        case closing
        case closed
    }

    /// In one byte, because a second one would make the object of each connection larger.
    struct Flags: OptionSet {
        let rawValue: UInt8

        /// Pull style: `receiveBuffer()` may return a buffer.
        static let lendsBuffers = Flags(rawValue: 1)
        /// Push style: the delegate may lend memory to receive into.
        static let lendsMemory = Flags(rawValue: 2)
        /// The close resets the connection.
        static let resetsOnClose = Flags(rawValue: 4)
        /// The descriptor is a socket, and no test has replaced the system calls.
        static let callsDirectly = Flags(rawValue: 8)
    }

    /// For calls that every message makes. Retained until ``detachDelegate(on:)``, and alive until the iteration ends.
    @exclusivity(unchecked) private(set) final var heldDelegate = RetainedDelegate(nil)
    @exclusivity(unchecked) final var known = ReadinessState()
    package final let channel: ByteChannel
    @exclusivity(unchecked) final var phase = Phase.open
    @exclusivity(unchecked) final var flags: Flags = []
    @exclusivity(unchecked) final var isPushing = false
    private final var closeWaiters: [WaiterToken] = []

    package init(_ channel: ByteChannel) {
        self.channel = channel
        super.init()
        reservedBytes = 0
    }

    /// Push style: whether the delegate may lend memory to receive into.
    final var lendsMemory: Bool {
        @inline(__always) get { flags.contains(.lendsMemory) }
        set { if newValue { flags.insert(.lendsMemory) } else { flags.remove(.lendsMemory) } }
    }

    package final var delegate: (any StreamDriverDelegate)? {
        get { heldDelegate.delegate }
        set { heldDelegate.replace(by: newValue) }
    }

    // MARK: Moving bytes

    /// Push style: delivers data to the delegate as it arrives, from the next run of this source on.
    package func startReading() {}
    package func stopReading() { isPushing = false }

    /// Pull style: moves bytes that have arrived into `buffer`; 0 bytes mean EOF.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult { .wouldBlock }

    /// Pull style: returns a buffer of the loop's pool with bytes, which then belongs to the caller; `nil` if there is
    /// none, or `receive(into:)` has to report something else.
    package func receiveBuffer() -> (buffer: PooledBuffer, byteCount: Int)? { nil }

    /// Pull style: false only if a receive certainly would return nothing.
    @inline(__always) final var isReadable: Bool { known.isReadable }

    package func send(_ bytes: UnsafeRawBufferPointer) -> IOResult { .wouldBlock }

    /// As `send(_:)`, for bytes in a buffer of the loop's pool that do not change. A driver that retains the buffer may
    /// send from it later.
    package func send(_ bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer) -> IOResult { send(bytes) }

    /// As `send(_:)`, for several pieces.
    package func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        var sent = 0
        for piece in pieces {
            switch send(UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)) {
            case .bytes(let count):
                sent += count
                if count < piece.iov_len { return .bytes(sent) }
            case .wouldBlock: return sent > 0 ? .bytes(sent) : .wouldBlock
            // The next send fails again.
            case .failed(let error): return sent > 0 ? .bytes(sent) : .failed(error)
            }
        }
        return .bytes(sent)
    }

    /// Whether `sendFile` is supported, because nothing transforms the bytes on their way.
    package var sendsFiles: Bool { false }

    /// As `send(_:)`, from a regular file, when all earlier bytes were sent. Returns 0 bytes at the end of the file.
    package func sendFile(_ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult { .failed(.notSupported) }

    /// Whether a task may send `count` bytes now. If its share of the iteration is used up, the delegate is notified
    /// later.
    package func grantsSend(of count: Int) -> Bool { true }

    /// The number of bytes that `send` has accepted and the kernel has not.
    package var unsentBytes: Int { 0 }

    /// Sends EOF after the bytes that `send` has accepted. Returns the error if the peer will not get it.
    package func shutdownWrite(on loop: EventLoop) -> Errno? { channel.shutdownWrite(loop.core) }

    // MARK: Ending

    package func detach() {}

    /// Frees the descriptor, and the driver as soon as the kernel uses none of its memory.
    package func close() {}

    package func resetOnClose() {
        if phase == .closed { return }
        flags.insert(.resetsOnClose)
        channel.resetOnClose()
    }

    package var resetsOnClose: Bool { flags.contains(.resetsOnClose) }

    /// - Parameter isClosed: Whether an operation has closed the descriptor.
    final func closeChannel(on loop: EventLoop, isClosed: Bool = false) {
        if phase == .closed { return }
        phase = .closed
        if !isClosed {
            channel.willClose()
            loop.closeSocket(channel.socket)
        }
        let waiters = closeWaiters
        closeWaiters = []
        for waiter in waiters { loop.settle(waiter, .ready) }
    }

    /// The task is on its loop.
    func waitUntilClosed(on loop: EventLoop, _ record: TaskRecord?) async throws {
        if phase == .closed { return }
        if loop.isClosed { throw EventLoopError.closed }
        let token = loop.makeWaiter()
        closeWaiters.append(token)
        let outcome = await loop.suspend(token, record)
        if outcome != .ready { closeWaiters.removeAll { $0 == token } }
        try loop.check(outcome)
    }

    final func detachDelegate(on loop: EventLoop) {
        guard let delegate else { return }
        loop.releaseLater(delegate)
        self.delegate = nil
    }

    /// The id of the driver that has the descriptor: this one, or the one below all filters.
    package var rootID: SlotID? { id }

    // MARK: Reports and the loop

    package override var label: String { delegate?.connection.label ?? "a connection that has ended" }
    package override var origin: CallSite? { delegate?.connection.origin }
    package override var isLeftOpen: Bool { delegate?.connection.isLeftOpen ?? false }
    package final override func abandoned() { delegate?.abandoned() }
    package override func loopClosed() { delegate?.loopClosed() }
}
