#if os(Linux)
public import AsyncIOSystem
package import CAsyncIO
public import SystemPackage

/// A proactor over io_uring(7), for Linux 6.1 and newer.
///
/// The kernel takes operations from a ring in shared memory, carries them out, and puts their results into another
/// one. One io_uring_enter(2) per iteration submits all operations and waits, and also runs the kernel's own work for
/// this ring, on this thread. No helper thread of the kernel polls the ring (`SQPOLL`), because it would use a
/// processor, and would keep the privileges that the process had when it was started.
///
/// The life of memory:
/// - An operation's memory belongs to the kernel until its last completion has been read. For sends without a
///   completion see `ImmediateSends`.
/// - An address or a path is copied by the kernel when it takes the submission, and freed after that.
/// - For the buffers of the pool see `ProvidedBuffers`.
/// - `close()` cancels everything and waits until the kernel has completed it, but at most `longestClose`. If it has
///   not, such as a read from a network file system that does not answer, the memory that this object owns is never
///   freed, and ``hasUnfinishedOperations`` says that the same is necessary for the memory of the operations.
///
/// A forked child does not get the ring's memory. In the child, `close` only closes the descriptor, and every other
/// function fails with `EBADF`.
///
/// - Thread: the loop's. It is bound to the thread of the first wait.
public final class IOUringProactor: BaseProactor {
    private static let submissionEntries: UInt32 = 1024
    private static let completionEntries: UInt32 = 4096
    /// The user data of the operations whose results do not matter.
    private static let ignored = UInt64.max
    /// How many times a wait moves what the kernel stored because the completion queue was full.
    private static let mostOverflowRounds = 1_000
    /// How long `close()` waits for the kernel.
    private static let longestCloseNanoseconds: Int64 = 5_000_000_000

    private let ring: UnsafeMutablePointer<aio_ring>
    private let forks: UInt32
    private var isEnabled = false
    private var isClosed = false
    /// Whether `close()` waits for what it has cancelled.
    private var isDraining = false
    @exclusivity(unchecked) public var buffers = BufferPool()
    /// By the index of the size. Each is created for the first operation that needs it.
    private let groups: UnsafeMutableBufferPointer<ProvidedBuffers?>
    private var lacksBuffers = false
    @exclusivity(unchecked) private var immediate = ImmediateSends()
    /// Submissions that found the ring full, in order.
    private var backlog: [aio_ring_submission] = []
    /// Addresses and paths of operations that the kernel has not taken yet.
    private var copies: [UnsafeMutableRawPointer] = []
    /// What stat operations write to, and where the result goes, by token.
    private var statuses: [UInt64: (statx: UnsafeMutableRawPointer, status: UnsafeMutableRawPointer)] = [:]
    /// The operations whose last completion was not reported yet.
    private var operationCount = 0

    /// Creates a proactor with a ring of its own. Throws if this process cannot use io_uring.
    public init() throws(IOUringUnavailable) {
        aio_install_fork_handler()
        try IOUringProbe.check()
        forks = aio_fork_count()
        ring = .allocate(capacity: 1)
        groups = Self.makeGroups()
        let result = aio_ring_open(ring, Self.submissionEntries, Self.completionEntries)
        if result < 0 {
            isClosed = true
            throw IOUringUnavailable("io_uring_setup", Errno(rawValue: -result))
        }
    }

    /// For tests: a ring whose kernel is a function.
    package init(simulating ring: aio_ring) {
        forks = aio_fork_count()
        self.ring = .allocate(capacity: 1)
        self.ring.initialize(to: ring)
        groups = Self.makeGroups()
    }

    private static func makeGroups() -> UnsafeMutableBufferPointer<ProvidedBuffers?> {
        let groups = UnsafeMutableBufferPointer<ProvidedBuffers?>.allocate(capacity: 3)
        for index in groups.indices { (groups.baseAddress! + index).initialize(to: nil) }
        return groups
    }

    deinit {
        close()
        guard !hasUnfinishedOperations else { return }
        // In a child, something else may be where the memory was in the parent.
        if isOurs { for index in groups.indices { groups[index] = nil } }
        groups.deallocate()
        ring.deallocate()
    }

    /// Whether `close()` has given up waiting, so that the kernel may still use the memory of operations.
    public var hasUnfinishedOperations: Bool { isClosed && operationCount > 0 && isOurs }

    /// Whether this process created the ring, not its parent.
    private var isOurs: Bool { forks == aio_fork_count() }

    // MARK: Submitting

    public func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        if !isOurs || isClosed { throw .badFileDescriptor }
        if token > UserData.mostToken { throw .invalidArgument }
        var entry = aio_ring_submission()
        entry.fd = operation.descriptor
        entry.user_data = UserData.of(operation.kind, token)
        switch operation.kind {
        case .send:
            immediate.append(token, operation.descriptor, operation.memory)
            prepareSend(&entry, operation.memory)
            entry.operation_flags |= AIO_RING_IMMEDIATE
            entry.flags = AIO_RING_SKIP_SUCCESS
        case .receiveIntoPool:
            try prepareReceive(&entry, operation.bufferSize)
        case .stat:
            prepareStatus(&entry, operation, token)
        default:
            try prepare(&entry, operation)
        }
        operationCount += 1
        push(&entry)
    }

    private func prepareSend(_ entry: inout aio_ring_submission, _ bytes: UnsafeMutableRawBufferPointer) {
        entry.opcode = AIO_RING_SEND
        entry.address = UInt64(UInt(bitPattern: bytes.baseAddress))
        entry.length = UInt32(clamping: bytes.count)
        entry.operation_flags = AIO_RING_NO_SIGNAL
    }

    private func prepareReceive(_ entry: inout aio_ring_submission, _ size: BufferPool.Size) throws(Errno) {
        try openBuffers(size)
        entry.opcode = AIO_RING_RECV
        entry.flags = AIO_RING_BUFFER_SELECT
        entry.buffer_group = UInt16(size.index)
        // A large buffer takes all that has arrived, and one receive at a time makes the peer wait for its reader.
        if size != .large { entry.priority = AIO_RING_RECEIVE_MULTISHOT }
    }

    private func prepareStatus(_ entry: inout aio_ring_submission, _ operation: ProactorOperation, _ token: UInt64) {
        let statx = UnsafeMutableRawPointer.allocate(byteCount: AIO_RING_STATX_SIZE, alignment: 16)
        if let status = operation.memory.baseAddress { statuses[token] = (statx, status) }
        entry.opcode = AIO_RING_STATX
        entry.fd = AIO_RING_CURRENT_DIRECTORY
        entry.address = operation.path.map { copy($0) } ?? 0
        entry.length = AIO_RING_STATX_MASK
        entry.offset = UInt64(UInt(bitPattern: statx))
    }

    /// Copies bytes until the kernel has taken the submission.
    func copy(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
        UnsafeMutableRawBufferPointer(start: memory, count: bytes.count).copyMemory(from: bytes)
        copies.append(memory)
        return UInt64(UInt(bitPattern: memory))
    }

    func copy(_ path: FilePath) -> UInt64 {
        path.withPlatformString { copy(UnsafeRawBufferPointer(start: $0, count: path.length + 1)) }
    }

    /// What an operation's completions carry: its token, and a mark that says how to handle their results.
    private enum UserData {
        static let mostToken: UInt64 = 1 << 62 - 1
        static let immediateSend: UInt64 = 1 << 62
        static let poll: UInt64 = 2 << 62
        static let descriptor: UInt64 = 3 << 62

        static func of(_ kind: ProactorOperation.Kind, _ token: UInt64) -> UInt64 {
            switch kind {
            case .send: token | immediateSend
            case .poll: token | poll
            case .accept, .open: token | descriptor
            default: token
            }
        }
    }

    /// If the ring is full, the kernel takes what it contains. If it takes none, or must not yet, the entry waits.
    private func push(_ entry: inout aio_ring_submission) {
        if backlog.isEmpty {
            if aio_ring_push(ring, &entry) { return }
            if isEnabled {
                _ = aio_ring_enter(ring, 0, 0)
                if aio_ring_push(ring, &entry) { return }
            }
        }
        backlog.append(entry)
    }

    public func cancel(_ kind: ProactorOperation.Kind, token: UInt64) {
        if !isOurs || isClosed || kind == .send && immediate.cancel(token) { return }
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_ASYNC_CANCEL
        entry.fd = -1
        // A send that waits has no mark, unlike one that is carried out at once.
        entry.address = kind == .send ? token : UserData.of(kind, token)
        entry.user_data = Self.ignored
        // If there is nothing to cancel, this completes with an error that nobody needs.
        entry.flags = AIO_RING_SKIP_SUCCESS
        push(&entry)
        // The poll holds the file, so that closing its last descriptor would not send EOF yet.
        if kind == .poll { flush() }
    }

    public func flush() {
        guard isOurs, !isClosed, isEnabled else { return }
        _ = submitAll()
    }

    /// Returns whether the kernel has taken all submissions.
    private func submitAll() -> Bool {
        repeat {
            moveBacklog()
            if aio_ring_unsubmitted(ring) == 0 { break }
            if aio_ring_enter(ring, 0, 0) <= 0 { return false }
        } while !backlog.isEmpty || aio_ring_unsubmitted(ring) > 0
        return true
    }

    private func moveBacklog() {
        if backlog.isEmpty { return }
        var moved = 0
        while moved < backlog.count, aio_ring_push(ring, &backlog[moved]) { moved += 1 }
        backlog.removeFirst(moved)
    }

    // MARK: Waiting

    public func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        if !isOurs || isClosed { throw .badFileDescriptor }
        if !isEnabled { try enable() }
        var time = WaitTime(timeoutNanoseconds)
        let countBefore = events.count
        while true {
            try enter(time.nanoseconds)
            reapAll(into: &events)
            if events.count > countBefore || time.nanoseconds == 0 { return }
            // A signal, or a completion that nobody needs.
            time.wasInterrupted()
        }
    }

    private func enable() throws(Errno) {
        let result = aio_ring_enable(ring)
        if result < 0 { throw Errno(rawValue: -result) }
        isEnabled = true
    }

    private func enter(_ nanoseconds: Int64) throws(Errno) {
        moveBacklog()
        // What follows may not block: completions that are there, sends that complete by being submitted, submissions
        // that did not fit.
        let mayBlock = nanoseconds != 0 && aio_ring_ready(ring) == 0 && immediate.isEmpty && backlog.isEmpty
        if !mayBlock, aio_ring_unsubmitted(ring) == 0, aio_ring_flags(ring) == 0 { return }
        let result = aio_ring_enter(ring, mayBlock ? 1 : 0, nanoseconds)
        if result < 0 { try check(Errno(rawValue: -result)) }
    }

    private func check(_ error: Errno) throws(Errno) {
        switch error {
        case .interrupted, .timeout: return
        // The kernel has no memory for more operations, until completions have been read.
        case .resourceTemporarilyUnavailable, .resourceBusy:
            if aio_ring_ready(ring) == 0, immediate.isEmpty { throw error }
        default: throw error
        }
    }

    /// Reads all completions, also those that the kernel stored because the queue was full.
    private func reapAll(into events: inout [Completion]) {
        var hasTakenAll = aio_ring_unsubmitted(ring) == 0 && backlog.isEmpty
        reap(into: &events)
        if !hasTakenAll {
            hasTakenAll = submitAll()
            reap(into: &events)
        }
        var rounds = 0
        while aio_ring_flags(ring) & AIO_RING_CQ_OVERFLOW != 0 {
            rounds += 1
            if rounds > Self.mostOverflowRounds || aio_ring_enter(ring, 0, 0) < 0 { return }
            reap(into: &events)
        }
        if !hasTakenAll { return }
        if !copies.isEmpty { freeCopies() }
        if !immediate.isEmpty {
            let countBefore = events.count
            immediate.finish(into: &events)
            operationCount -= events.count - countBefore
        }
    }

    private func reap(into events: inout [Completion]) {
        let count = aio_ring_ready(ring)
        if count == 0 { return }
        for index in 0..<count { append(aio_ring_at(ring, index).pointee, to: &events) }
        aio_ring_advance(ring, count)
        for index in groups.indices { groups[index]?.publish() }
        if lacksBuffers { addBuffers() }
    }

    @inline(__always)
    private func append(_ entry: aio_ring_completion, to events: inout [Completion]) {
        if entry.user_data > UserData.mostToken { return appendMarked(entry, to: &events) }
        let hasMore = entry.flags & AIO_RING_HAS_MORE != 0
        if !hasMore { ended(entry) }
        var buffer: PooledBuffer?
        if entry.flags & AIO_RING_HAS_BUFFER != 0 {
            buffer = takeBuffer(UInt16(truncatingIfNeeded: entry.flags >> 16), isUsed: entry.result > 0)
        }
        events.append(
            Completion(token: entry.user_data, result: Int(entry.result), hasMore: hasMore, buffer: buffer))
    }

    @inline(never)
    private func appendMarked(_ entry: aio_ring_completion, to events: inout [Completion]) {
        if entry.user_data == Self.ignored { return }
        let token = entry.user_data & UserData.mostToken
        var result = Int(entry.result)
        let hasMore = entry.flags & AIO_RING_HAS_MORE != 0
        switch entry.user_data & ~UserData.mostToken {
        case UserData.immediateSend:
            // None is found for a completion that comes twice.
            guard let send = immediate.completed(token) else { return }
            if result == -Int(Errno.resourceTemporarilyUnavailable.rawValue) {
                // When the ring is being closed, everything that waits has been cancelled already.
                if !send.isCancelled, !isDraining { return sendWaiting(send) }
                result = -Int(Errno.canceled.rawValue)
            }
        case UserData.poll:
            if result >= 0 { result = Int(Self.readiness(of: UInt32(entry.result)).rawValue) }
        case UserData.descriptor:
            // Nobody will get it.
            if isDraining, result >= 0 { _ = aio_close(CInt(result)) }
        default: break
        }
        if !hasMore { operationCount -= 1 }
        events.append(Completion(token: token, result: result, hasMore: hasMore))
    }

    private func sendWaiting(_ send: ImmediateSends.Send) {
        var entry = aio_ring_submission()
        entry.fd = send.descriptor
        entry.user_data = send.token
        prepareSend(&entry, send.bytes)
        push(&entry)
    }

    @inline(__always) private func ended(_ entry: aio_ring_completion) {
        operationCount -= 1
        if entry.result == -CInt(Errno.noBufferSpace.rawValue) { lacksBuffers = true }
        if !statuses.isEmpty { completeStatus(entry) }
    }

    private func completeStatus(_ entry: aio_ring_completion) {
        guard let (statx, status) = statuses.removeValue(forKey: entry.user_data) else { return }
        if entry.result == 0 { aio_ring_copy_status(statx, status) }
        statx.deallocate()
    }

    private func freeCopies() {
        for memory in copies { memory.deallocate() }
        copies.removeAll()
    }

    // MARK: Buffers

    private func openBuffers(_ size: BufferPool.Size) throws(Errno) {
        if groups[size.index] != nil { return }
        var group = try ProvidedBuffers(size, ring)
        group.grow(to: ProvidedBuffers.initialCount(size), buffers)
        groups[size.index] = consume group
    }

    @inline(__always)
    private func takeBuffer(_ identifier: UInt16, isUsed: Bool) -> PooledBuffer? {
        let index = ProvidedBuffers.group(of: identifier)
        if isUsed { return groups[index]?.take(identifier, buffers) }
        groups[index]?.provideAgain(identifier)
        return nil
    }

    /// Some operation has found no buffer. Its group is one whose buffers have all been used.
    private func addBuffers() {
        lacksBuffers = false
        var hasGrown = false
        for index in groups.indices where groups[index]?.wasExhausted ?? false {
            groups[index]?.double(buffers)
            hasGrown = true
        }
        if !hasGrown { for index in groups.indices { groups[index]?.double(buffers) } }
    }

    // MARK: Closing

    public func close() {
        if isClosed { return }
        if isOurs, isEnabled { cancelAll() }
        // Without a wait, the kernel has taken nothing.
        if !isEnabled { operationCount = 0 }
        isClosed = true
        if isOurs { aio_ring_close(ring) } else { aio_ring_close_inherited(ring) }
        // Otherwise the memory is never freed, because the kernel may still write to it.
        guard !hasUnfinishedOperations else { return }
        for index in groups.indices { groups[index]?.removeAll(buffers) }
        for status in statuses.values { status.statx.deallocate() }
        freeCopies()
    }

    /// Cancels all operations and waits until they have completed, or the time is over.
    private func cancelAll() {
        // Sends that the kernel has not taken yet are carried out first.
        _ = submitAll()
        var entry = aio_ring_submission()
        entry.opcode = AIO_RING_ASYNC_CANCEL
        entry.fd = -1
        entry.operation_flags = AIO_RING_CANCEL_ALL | AIO_RING_CANCEL_ANY
        entry.user_data = Self.ignored
        push(&entry)
        isDraining = true
        let deadline = MonotonicClock.now.nanoseconds + Self.longestCloseNanoseconds
        while operationCount > 0 {
            let rest = deadline - MonotonicClock.now.nanoseconds
            var completions: [Completion] = []
            if rest <= 0 || (try? wait(timeoutNanoseconds: rest, into: &completions)) == nil { return }
            for case let buffer? in completions.map(\.buffer) { buffers.put(buffer.memory, buffer.size) }
        }
    }
}

extension IOUringProactor: CustomStringConvertible {
    /// Such as `<IOUringProactor, 12 operations>`.
    public var description: String {
        isClosed ? "<IOUringProactor, closed>" : "<IOUringProactor, \(operationCount) operations>"
    }
}
#endif
