import AsyncIO
public import AsyncIOSystem
public import Proactors
public import SystemPackage

/// A proactor over real descriptors that does not wait for timers: when nothing has completed, it moves the clock
/// instead.
///
/// ```swift
/// let clock = VirtualClock()
/// let proactor = VirtualTimeProactor(MyProactor(), clock: clock)
/// let loop = try ProactorEventLoop(proactor: proactor, clock: clock)
/// ```
///
/// `withVirtualTimeLoop` runs a test on such a loop.
///
/// A wait returns as soon as an operation has completed. If none completes within ``VirtualClock/settlingTime``, the
/// clock moves to the deadline of the wait, which is the loop's next timer. Without a timer the proactor waits for
/// completions and other threads as the wrapped proactor does.
///
/// - Thread: the loop's, like every proactor.
public final class VirtualTimeProactor: BaseProactor {
    private let operations: Operations
    let clock: VirtualClock

    /// Creates a proactor around `proactor`, which it owns from then on. The loop must have the same clock.
    public init(_ proactor: any BaseProactor, clock: VirtualClock) {
        (operations, self.clock) = (Operations(of: proactor), clock)
    }

    public var buffers: BufferPool {
        get { operations.proactor.buffers }
        set { operations.proactor.buffers = newValue }
    }

    public func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        try operations.proactor.submit(operation, token: token)
        operations.descriptors[token] = operation.descriptor
    }

    public func cancel(_ kind: ProactorOperation.Kind, token: UInt64) {
        if kind == .poll, operations.descriptors[token] != nil { operations.cancelledPolls.insert(token) }
        operations.proactor.cancel(kind, token: token)
    }

    public func flush() {
        operations.proactor.flush()
    }

    public var hasUnfinishedOperations: Bool { operations.proactor.hasUnfinishedOperations }

    public var receivesMessages: Bool { operations.proactor.receivesMessages }

    public var supportsImmediateTransfers: Bool { operations.proactor.supportsImmediateTransfers }

    public var immediateSendsHaveEnded: Bool { operations.proactor.immediateSendsHaveEnded }

    public func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>) {
        operations.proactor.submitImmediateSends(sends)
    }

    public func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult {
        operations.proactor.receiveAtOnce(into: buffer, from: socket)
    }

    public func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult {
        operations.proactor.sendAtOnce(bytes, on: socket)
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        try clock.waits.wait(in: operations, clock, timeoutNanoseconds: timeoutNanoseconds, into: &events) {
            operations.descriptors[$0.token]
        }
        events += operations.takeEnded()
        for event in events where !event.hasMore { operations.remove(event.token) }
    }

    public func close() {
        operations.proactor.close()
    }
}

/// The operations of a proactor. The last completion of a cancelled poll ends no wait, because no selector has such an
/// event, and the iterations of a test have the same numbers on all loops.
private final class Operations: Poller {
    let proactor: any BaseProactor
    var descriptors: [UInt64: CInt] = [:]
    var cancelledPolls: Set<UInt64> = []
    private var ended: [Completion] = []

    init(of proactor: any BaseProactor) { self.proactor = proactor }

    func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        var hasOnlyEnded = false
        repeat {
            var arrived: [Completion] = []
            try proactor.wait(timeoutNanoseconds: timeoutNanoseconds, into: &arrived)
            ended += arrived.filter { cancelledPolls.contains($0.token) }
            hasOnlyEnded = !arrived.isEmpty
            for completion in arrived where !cancelledPolls.contains(completion.token) {
                events.append(completion)
                hasOnlyEnded = false
            }
        } while hasOnlyEnded
    }

    func takeEnded() -> [Completion] {
        defer { ended = [] }
        return ended
    }

    func remove(_ token: UInt64) {
        descriptors[token] = nil
        cancelledPolls.remove(token)
    }

    func close() { proactor.close() }
}
