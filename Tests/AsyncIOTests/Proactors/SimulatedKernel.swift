#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import Proactors
import SystemPackage

/// The kernel's side of a ring: it takes submissions, and completes them when and as the test says.
///
/// SAFETY: one thread at a time uses it.
final class SimulatedKernel: @unchecked Sendable {
    /// A submission that was taken and has not completed for the last time.
    struct Operation {
        let entry: aio_ring_submission
        var isCancelled = false

        var userData: UInt64 { entry.user_data }
        /// The token that the proactor's user has given to it.
        var token: UInt64 { entry.user_data & (1 << 62 - 1) }
        var isMultishot: Bool {
            entry.opcode == AIO_RING_ACCEPT
                || entry.opcode == AIO_RING_RECV && entry.priority & AIO_RING_RECEIVE_MULTISHOT != 0
        }
        var receivesIntoPool: Bool {
            entry.opcode == AIO_RING_RECV && entry.flags & AIO_RING_BUFFER_SELECT != 0
        }
        /// The bytes of a send.
        var bytes: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(
                start: UnsafeRawPointer(bitPattern: UInt(entry.address)), count: Int(entry.length))
        }
    }

    /// The result of a send that is carried out when it is submitted.
    enum ImmediateResult {
        case all
        case count(Int)
        case failed(Errno)
    }

    private(set) var operations: [Operation] = []
    /// What an enter does instead of anything else: the first of these errors, which the call removes.
    var errors: [Errno] = []
    /// The most entries that an enter takes.
    var mostTaken = UInt32.max
    /// Decides the result of a send that is carried out when it is submitted.
    var immediateResult: (Operation) -> ImmediateResult = { _ in .all }
    /// Called with the bytes that a send has moved.
    var sent: (Operation, UnsafeRawBufferPointer) -> Void = { _, _ in }
    /// Called for a submission that is no send and no cancellation, which is then in `operations`.
    var taken: (Operation) -> Void = { _ in }
    /// Whether a cancelled operation completes at once, or when the test completes it.
    var cancelsAtOnce = true
    /// Called at the end of each enter: the events of the outer world.
    var entered: () -> Void = {}
    private(set) var enterCount = 0
    /// The completions that did not fit into the queue and wait, and how many there have been.
    private(set) var overflowed: [aio_ring_completion] = []
    private(set) var overflowCount = 0
    /// Whether the stored completions stay where they are, although there is room.
    var holdsOverflow = false

    // SAFETY: the proactor's, as long as it is open.
    private var ring: UnsafeMutablePointer<aio_ring>?

    /// Creates a ring whose kernel this is.
    func makeRing(submissions: UInt32 = 1024, completions: UInt32 = 4096) -> aio_ring {
        var ring = aio_ring()
        let opened = aio_ring_open_simulated(
            &ring, submissions, completions,
            { ring, count, nanoseconds in
                Unmanaged<SimulatedKernel>.fromOpaque(ring.pointee.simulator!).takeUnretainedValue()
                    .enter(ring, count, nanoseconds)
            }, Unmanaged.passUnretained(self).toOpaque())
        precondition(opened == 0)
        return ring
    }

    private func enter(_ ring: UnsafeMutablePointer<aio_ring>, _ count: UInt32, _ nanoseconds: Int64) -> CInt {
        self.ring = ring
        enterCount += 1
        if !errors.isEmpty { return -errors.removeFirst().rawValue }
        let taken = takeSubmissions(ring.pointee)
        moveOverflow()
        entered()
        if taken == 0, count > 0, aio_ring_ready(ring) == 0 {
            // Time passes as if it were real.
            return nanoseconds < 0 ? -Errno.interrupted.rawValue : -Errno.timeout.rawValue
        }
        return CInt(taken)
    }

    private func takeSubmissions(_ ring: aio_ring) -> UInt32 {
        var taken: UInt32 = 0
        while ring.kernel_sq_head!.pointee != ring.kernel_sq_tail!.pointee, taken < mostTaken {
            let entry = ring.submissions![Int(ring.kernel_sq_head!.pointee & (ring.sq_entries - 1))]
            // A program may use the place at once.
            ring.submissions![Int(ring.kernel_sq_head!.pointee & (ring.sq_entries - 1))].user_data = 0xdead
            ring.kernel_sq_head!.pointee &+= 1
            taken += 1
            take(entry)
        }
        return taken
    }

    private func take(_ entry: aio_ring_submission) {
        let operation = Operation(entry: entry)
        switch entry.opcode {
        case AIO_RING_ASYNC_CANCEL:
            let isAll = entry.operation_flags & AIO_RING_CANCEL_ANY != 0
            for found in operations where isAll || found.userData == entry.address {
                if let index = operations.firstIndex(where: { $0.userData == found.userData }) {
                    operations[index].isCancelled = true
                }
                if cancelsAtOnce || isAll { complete(found.userData, -Errno.canceled.rawValue) }
            }
            if entry.flags & AIO_RING_SKIP_SUCCESS == 0 { post(entry.user_data, 0) }
        case AIO_RING_SEND where entry.flags & AIO_RING_SKIP_SUCCESS != 0:
            sendAtOnce(operation)
        default:
            operations.append(operation)
            taken(operation)
        }
    }

    private func sendAtOnce(_ operation: Operation) {
        switch immediateResult(operation) {
        case .all: sent(operation, operation.bytes)
        case .count(let count):
            sent(operation, UnsafeRawBufferPointer(rebasing: operation.bytes[..<count]))
            post(operation.userData, CInt(count))
        case .failed(let error): post(operation.userData, -error.rawValue)
        }
    }

    // MARK: Completions

    /// Puts a completion into the queue, or stores it if the queue is full.
    func post(_ userData: UInt64, _ result: CInt, _ flags: UInt32 = 0) {
        guard let ring else { preconditionFailure("no enter yet") }
        let completion = aio_ring_completion(user_data: userData, result: result, flags: flags)
        if overflowed.isEmpty, ring.pointee.hasRoom { return ring.pointee.append(completion) }
        overflowed.append(completion)
        overflowCount += 1
        ring.pointee.kernel_sq_flags!.pointee |= AIO_RING_CQ_OVERFLOW
    }

    private func moveOverflow() {
        guard let ring, !overflowed.isEmpty, !holdsOverflow else { return }
        while ring.pointee.hasRoom, !overflowed.isEmpty { ring.pointee.append(overflowed.removeFirst()) }
        if overflowed.isEmpty { ring.pointee.kernel_sq_flags!.pointee &= ~AIO_RING_CQ_OVERFLOW }
    }

    /// Completes an operation. Does nothing if there is none.
    @discardableResult
    func complete(_ userData: UInt64, _ result: CInt, hasMore: Bool = false, flags: UInt32 = 0) -> Bool {
        guard let index = operations.firstIndex(where: { $0.userData == userData }) else { return false }
        if !hasMore { operations.remove(at: index) }
        post(userData, result, (hasMore ? AIO_RING_HAS_MORE : 0) | flags)
        return true
    }

    /// Writes bytes into the next buffer of the operation's group, and completes it. Without a buffer it ends with
    /// ENOBUFS. Returns the memory.
    @discardableResult
    func receive(
        _ operation: Operation, hasMore: Bool, _ write: (UnsafeMutableRawBufferPointer) -> Int
    ) -> UnsafeMutableRawPointer? {
        guard let buffer = takeBuffer(Int(operation.entry.buffer_group)) else {
            complete(operation.userData, -Errno.noBufferSpace.rawValue)
            return nil
        }
        let memory = UnsafeMutableRawPointer(bitPattern: UInt(buffer.address))!
        let count = write(UnsafeMutableRawBufferPointer(start: memory, count: Int(buffer.length)))
        complete(
            operation.userData, CInt(count), hasMore: hasMore,
            flags: AIO_RING_HAS_BUFFER | UInt32(buffer.identifier) << 16)
        return memory
    }

    private var heads: [UInt16] = [0, 0, 0]

    /// The buffers that the program has provided.
    func providedBuffers(_ group: Int) -> [aio_ring_buffer] {
        guard let ring, let buffers = aio_ring_simulated_buffers(ring, UInt32(group)) else { return [] }
        let count = Int(buffers.pointee.tail &- heads[group])
        return (0..<count).map { buffers[Int(heads[group] &+ UInt16($0)) & 4095] }
    }

    private func takeBuffer(_ group: Int) -> aio_ring_buffer? {
        guard let buffer = providedBuffers(group).first else { return nil }
        heads[group] &+= 1
        return buffer
    }
}

extension aio_ring {
    fileprivate var hasRoom: Bool { kernel_cq_tail!.pointee &- kernel_cq_head!.pointee < cq_entries }

    fileprivate func append(_ completion: aio_ring_completion) {
        completions![Int(kernel_cq_tail!.pointee & (cq_entries - 1))] = completion
        kernel_cq_tail!.pointee &+= 1
    }
}
#endif
