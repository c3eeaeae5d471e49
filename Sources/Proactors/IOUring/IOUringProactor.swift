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
///   completion see "Sends that do not wait".
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
    static let ignored = UInt64.max
    /// The user data of a send that is submitted at once.
    static let synchronous = UInt64.max - 1
    /// How many times a wait moves what the kernel stored because the completion queue was full.
    private static let mostOverflowRounds = 1_000
    /// How often in a row the kernel may have no memory, a millisecond each.
    private static let mostFailedEnters = 1_000
    /// How long `close()` waits for the kernel.
    static let longestCloseNanoseconds: Int64 = 5_000_000_000

    let ring: UnsafeMutablePointer<aio_ring>
    private let forks: UInt32
    @exclusivity(unchecked) var isEnabled = false
    @exclusivity(unchecked) var isClosed = false
    /// Whether `close()` waits for what it has cancelled.
    @exclusivity(unchecked) var isDraining = false
    public var buffers = BufferPool() {
        didSet { pool = Unmanaged.passUnretained(buffers) }
    }
    /// Not retained for each buffer.
    @exclusivity(unchecked) var pool: Unmanaged<BufferPool>
    /// By the index of the size. Each is created for the first operation that needs it.
    let groups: UnsafeMutableBufferPointer<ProvidedBuffers?>
    /// Groups from this index on were not created.
    @exclusivity(unchecked) private var groupCount = 0
    @exclusivity(unchecked) private var lacksBuffers = false
    private var failedEnters = 0
    /// Whether the kernel has taken all immediate sends and reported the failures among them.
    @exclusivity(unchecked) public internal(set) var immediateSendsHaveEnded = true
    /// The result of a send that was submitted at once, if it has one.
    @exclusivity(unchecked) var synchronousResult: Int?
    /// What was read from the ring outside `wait`.
    @exclusivity(unchecked) var earlyCompletions: [Completion] = []
    /// Submissions that found the ring full, in order.
    @exclusivity(unchecked) var backlog: [aio_ring_submission] = []
    /// Addresses and paths of operations that the kernel has not taken yet.
    @exclusivity(unchecked) private var copies: [UnsafeMutableRawPointer] = []
    /// What stat operations write to, and where the result goes, by token.
    @exclusivity(unchecked) var statuses: [UInt64: (statx: UnsafeMutableRawPointer, status: UnsafeMutableRawPointer)] =
        [:]
    /// The operations whose last completion was not reported yet.
    @exclusivity(unchecked) var operationCount = 0

    /// Creates a proactor with a ring of its own. Throws if this process cannot use io_uring.
    public init() throws(IOUringUnavailable) {
        aio_install_fork_handler()
        try IOUringProbe.check()
        forks = aio_fork_count()
        ring = .allocate(capacity: 1)
        groups = Self.makeGroups()
        pool = Unmanaged.passUnretained(buffers)
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
        pool = Unmanaged.passUnretained(buffers)
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
    var isOurs: Bool { forks == aio_fork_count() }

    // MARK: Submitting

    public func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        if !isOurs || isClosed { throw .badFileDescriptor }
        if token > UserData.mostToken { throw .invalidArgument }
        var entry = aio_ring_submission()
        entry.fd = operation.descriptor
        entry.user_data = UserData.of(operation.kind, token)
        switch operation.kind {
        case .receiveIntoPool:
            try prepareReceive(&entry, operation.bufferSize)
        case .receiveMessages:
            try prepareReceive(&entry, operation.bufferSize)
            entry.opcode = AIO_RING_RECVMSG
            entry.address = UInt64(UInt(bitPattern: AIO_RING_MESSAGE_HEADER))
            entry.length = 1
            // Each message has a buffer of its own, which the next one cannot share.
            entry.priority = AIO_RING_RECEIVE_MULTISHOT
        case .stat:
            prepareStatus(&entry, operation, token)
        default:
            try prepare(&entry, operation)
        }
        operationCount += 1
        push(&entry)
    }

    private func prepareReceive(_ entry: inout aio_ring_submission, _ size: BufferPool.Size) throws(Errno) {
        try openBuffers(size)
        entry.opcode = AIO_RING_RECV
        entry.flags = AIO_RING_BUFFER_SELECT
        entry.buffer_group = UInt16(size.index)
        // A multishot receive takes up to 32 buffers of one connection at a time. Larger ones hold what has arrived,
        // and make the peer wait for its reader.
        if size == .small { entry.priority = AIO_RING_RECEIVE_MULTISHOT }
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
    enum UserData {
        static let mostToken: UInt64 = 1 << 62 - 1
        static let immediateSend: UInt64 = 1 << 62
        static let poll: UInt64 = 2 << 62
        static let descriptor: UInt64 = 3 << 62

        static func of(_ kind: ProactorOperation.Kind, _ token: UInt64) -> UInt64 {
            switch kind {
            case .poll: token | poll
            case .accept, .open: token | descriptor
            default: token
            }
        }
    }

    /// If the ring is full, the kernel takes what it contains. If it takes none, or must not yet, the entry waits.
    func push(_ entry: inout aio_ring_submission) {
        if backlog.isEmpty {
            if aio_ring_push(ring, &entry) { return }
            if isEnabled {
                _ = aio_ring_enter(ring, 0, 0)
                if aio_ring_push(ring, &entry) { return }
            }
        }
        backlog.append(entry)
    }

    public func flush() {
        guard isOurs, !isClosed, isEnabled else { return }
        _ = submitAll()
    }

    /// Returns whether the kernel has taken all submissions.
    func submitAll() -> Bool {
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
        let most = earlyCompletions.isEmpty ? timeoutNanoseconds.map { max($0, 0) } : 0
        let began = most ?? 0 > 0 ? MonotonicClock.now.nanoseconds : 0
        // Negative without a limit.
        var rest = most ?? -1
        let countBefore = events.count
        while true {
            try enter(rest)
            reapAll(into: &events)
            if events.count > countBefore || rest == 0 { return }
            // A signal, or a completion that nobody needs.
            if let most { rest = max(0, most - (MonotonicClock.now.nanoseconds - began)) }
        }
    }

    private func enable() throws(Errno) {
        let result = aio_ring_enable(ring)
        if result < 0 { throw Errno(rawValue: -result) }
        isEnabled = true
    }

    private func enter(_ nanoseconds: Int64) throws(Errno) {
        for index in 0..<groupCount { groups[index]?.refill(pool) }
        moveBacklog()
        let mayBlock = nanoseconds != 0 && aio_ring_ready(ring) == 0 && backlog.isEmpty
        if !mayBlock, aio_ring_unsubmitted(ring) == 0, aio_ring_flags(ring) == 0 { return }
        let result = aio_ring_enter(ring, mayBlock ? 1 : 0, nanoseconds)
        if result >= 0 { failedEnters = 0 } else { try check(Errno(rawValue: -result)) }
    }

    private func check(_ error: Errno) throws(Errno) {
        switch error {
        case .interrupted, .timeout: return
        // The kernel has no memory for more operations, perhaps until completions have been read.
        case .resourceTemporarilyUnavailable, .resourceBusy:
            failedEnters += 1
            if failedEnters > Self.mostFailedEnters { throw error }
            if aio_ring_ready(ring) == 0 { _ = aio_poll_wait(nil, 0, 1_000_000) }
        default: throw error
        }
    }

    /// Reads all completions, also those that the kernel stored because the queue was full.
    private func reapAll(into events: inout [Completion]) {
        if !earlyCompletions.isEmpty {
            events += earlyCompletions
            earlyCompletions.removeAll()
        }
        var hasTakenAll = aio_ring_unsubmitted(ring) == 0 && backlog.isEmpty
        reap(into: &events)
        if !hasTakenAll {
            hasTakenAll = submitAll()
            reap(into: &events)
        }
        immediateSendsHaveEnded = reapOverflow(into: &events) && hasTakenAll
        if hasTakenAll, !copies.isEmpty { freeCopies() }
    }

    /// Returns whether the kernel stores no completions any more.
    func reapOverflow(into events: inout [Completion]) -> Bool {
        var rounds = 0
        while aio_ring_flags(ring) & AIO_RING_CQ_OVERFLOW != 0 {
            rounds += 1
            if rounds > Self.mostOverflowRounds || aio_ring_enter(ring, 0, 0) < 0 { return false }
            reap(into: &events)
        }
        return true
    }

    func reap(into events: inout [Completion]) {
        let count = aio_ring_ready(ring)
        if count == 0 { return }
        for index in 0..<count { append(aio_ring_at(ring, index).pointee, to: &events) }
        aio_ring_advance(ring, count)
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
        if entry.user_data == Self.synchronous {
            synchronousResult = Int(entry.result)
            return
        }
        let token = entry.user_data & UserData.mostToken
        var result = Int(entry.result)
        let hasMore = entry.flags & AIO_RING_HAS_MORE != 0
        switch entry.user_data & ~UserData.mostToken {
        case UserData.immediateSend:
            events.append(Completion(token: token, result: result, hasMore: true))
            return
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

    func freeCopies() {
        for memory in copies { memory.deallocate() }
        copies.removeAll()
    }

    // MARK: Buffers

    private func openBuffers(_ size: BufferPool.Size) throws(Errno) {
        if groups[size.index] != nil { return }
        var group = try ProvidedBuffers(size, ring)
        group.grow(to: ProvidedBuffers.initialCount(size), pool)
        groups[size.index] = consume group
        groupCount = max(groupCount, size.index + 1)
    }

    @inline(__always)
    private func takeBuffer(_ identifier: UInt16, isUsed: Bool) -> PooledBuffer? {
        let index = ProvidedBuffers.group(of: identifier)
        if isUsed { return groups[index]?.take(identifier) }
        groups[index]?.provideAgain(identifier)
        return nil
    }

    /// Some operation has found no buffer. Its group is one whose buffers have all been used.
    private func addBuffers() {
        lacksBuffers = false
        var hasGrown = false
        for index in groups.indices where groups[index]?.isExhausted ?? false {
            groups[index]?.double(pool)
            hasGrown = true
        }
        if !hasGrown { for index in groups.indices { groups[index]?.double(pool) } }
    }
}

extension IOUringProactor: CustomStringConvertible {
    /// Such as `<IOUringProactor, 12 operations>`.
    public var description: String {
        isClosed ? "<IOUringProactor, closed>" : "<IOUringProactor, \(operationCount) operations>"
    }
}
#endif
