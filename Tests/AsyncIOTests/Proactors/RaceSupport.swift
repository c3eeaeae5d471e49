#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import Glibc
import Proactors
import Synchronization
import SystemPackage
import Testing

/// The order in which an operation, the event that completes it, and its cancellation reach the kernel.
enum RaceOrder: CaseIterable {
    case eventFirst, cancelledAtOnce, cancelledInTheKernel, eventInTheKernel, eventAtOnce, bothInTheKernel
    case withoutCancellation, reaped, cancelledTwice
}

/// Operations and cancellations on a ring, without a loop, in random orders. It counts what each operation completes.
final class Race {
    let ring: DirectProactor
    let pool: BufferPool
    private(set) var generator: SeededGenerator
    private(set) var failures: [String] = []
    /// How many operations were cancelled in time, and how many were not.
    private(set) var cancelledCount = 0
    private(set) var doneCount = 0

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        ring = try DirectProactor(.ioUring)
        pool = ring.proactor.buffers
        // Enables the ring.
        _ = try ring.completions()
    }

    func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }

    func fail(_ message: String) { if failures.count < 10 { failures.append(message) } }

    /// Submits an operation, and calls `event` and cancels the operation before, between or after the submissions reach
    /// the kernel. Returns all completions of the operation.
    func round(_ operation: ProactorOperation, event: () -> Void) throws -> [Completion] {
        let order = RaceOrder.allCases[random(0..<RaceOrder.allCases.count)]
        if order == .eventFirst { event() }
        let token = try ring.submit(operation)
        var found: [Completion] = []
        switch order {
        case .eventFirst: if random(0..<2) == 0 { ring.proactor.flush() }
        case .cancelledAtOnce:
            ring.cancel(operation.kind, token)
            event()
        case .cancelledInTheKernel:
            ring.proactor.flush()
            ring.cancel(operation.kind, token)
            if random(0..<2) == 0 { ring.proactor.flush() }
            event()
        case .eventInTheKernel:
            ring.proactor.flush()
            event()
        case .eventAtOnce: event()
        case .bothInTheKernel:
            ring.proactor.flush()
            event()
            ring.cancel(operation.kind, token)
            ring.proactor.flush()
        case .withoutCancellation:
            event()
            found += try ring.completions()
        case .reaped:
            ring.proactor.flush()
            found += try ring.completions()
            event()
            if random(0..<2) == 0 { found += try ring.completions() }
        case .cancelledTwice:
            ring.cancel(operation.kind, token)
            ring.proactor.flush()
            event()
            ring.cancel(operation.kind, token)
        }
        ring.cancel(operation.kind, token)
        found += try ring.all(of: token)
        if found.last?.result == failure(.canceled) { cancelledCount += 1 }
        if found.contains(where: { $0.result >= 0 }) { doneCount += 1 }
        if found.contains(where: { $0.token != token }) { fail("a completion of another operation in \(found)") }
        if ring.mistakes.count > 0 { fail("\(order): \(ring.mistakes)") }
        return found
    }

    /// Lets a thread cause the event now, or soon, or while this one goes on.
    func cause(by thread: RacingThread) {
        thread.begin()
        switch random(0..<3) {
        case 0: thread.wait()
        case 1: for _ in 0..<random(0..<200) { atomicFence() }
        default: break
        }
    }

    private func atomicFence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }

    /// Closes the ring, and reports what went wrong.
    func end(_ rounds: Int, bothHappen: Bool = true) {
        ring.close()
        #expect(failures == [])
        if bothHappen, rounds >= 500 {
            #expect(cancelledCount > 0, "no cancellation was in time")
            #expect(doneCount > 0, "no operation was done")
        }
    }
}

/// A thread that causes the events of a race at the same time.
final class RacingThread: Sendable {
    private let requested = Atomic<Int>(0)
    private let done = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)
    // SAFETY: set before the thread starts.
    private nonisolated(unsafe) var thread: OtherThread?

    init(_ event: @escaping @Sendable (Int) -> Void) {
        thread = OtherThread { [self] in
            var last = 0
            while !isStopped.load(ordering: .acquiring) {
                let round = requested.load(ordering: .acquiring)
                if round == last {
                    sched_yield()
                    continue
                }
                event(round)
                last = round
                done.store(round, ordering: .releasing)
            }
        }
    }

    /// Lets the thread cause the next event, at once or soon.
    func begin() { requested.add(1, ordering: .acquiringAndReleasing) }

    /// Waits until it has.
    func wait() {
        while done.load(ordering: .acquiring) != requested.load(ordering: .acquiring) { sched_yield() }
    }

    func stop() {
        wait()
        isStopped.store(true, ordering: .releasing)
        thread?.join()
    }
}

/// Bytes whose position in a stream can be checked.
struct PatternStream {
    private static let period = 251
    private static let piece = (0..<(1 << 19) + period).map { UInt8($0 % period) }
    /// The number of bytes so far.
    private(set) var position = 0

    /// The next bytes, at most 512 KiB, without moving on.
    func peek<Result>(_ count: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try Self.piece.withUnsafeBytes { piece in
            let first = position % Self.period
            return try body(UnsafeRawBufferPointer(rebasing: piece[first..<first + count]))
        }
    }

    mutating func advance(_ count: Int) { position += count }

    /// Returns whether these are the next bytes, and moves on.
    mutating func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let isEqual =
            bytes.isEmpty || peek(bytes.count) { memcmp($0.baseAddress!, bytes.baseAddress!, bytes.count) == 0 }
        advance(bytes.count)
        return isEqual
    }

    /// Sends the next bytes, as far as the kernel takes them.
    mutating func send(_ count: Int, on socket: Socket) {
        guard case .bytes(let sent) = peek(count, { socket.send($0) }) else { return }
        advance(sent)
    }
}
#endif
