#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import Proactors
import SystemPackage
import Testing

/// Random operations, cancellations and waits on a kernel that is as unkind as it may be: it takes few entries or none,
/// completes in any order and late, has a small queue that overflows, and fails with every error that it has.
@Suite(.serialized) struct RingModelTests {
    // covers: 328, 329, 330, 332, 333, 334, 335, F25, F27, F29
    @Test(arguments: [UInt64](1...4))
    func everyOperationCompletesOnceAndEveryBufferComesBack(seed: UInt64) throws {
        var model = try RingModel(seed: seed, submissions: 8, completions: 16)
        let steps = rounds(debug: 25_000, full: 250_000)
        try model.run(steps: steps)
        #expect(model.problems == [])
        #expect(model.completedCount > steps / 20)
        #expect(model.overflowCount > 0)
    }

    /// The sizes of the real ring.
    @Test func largeRingDoesTheSame() throws {
        var model = try RingModel(seed: 5, submissions: 1024, completions: 4096)
        try model.run(steps: rounds(debug: 5_000, full: 50_000))
        #expect(model.problems == [])
    }
}

/// What the test knows of a proactor and of its kernel.
private struct RingModel {
    private struct Operation {
        var kind: ProactorOperation.Kind
        /// For sends: how many bytes the kernel has moved, or its error.
        var sentCount = 0
        var bytes: UnsafeMutableRawBufferPointer?
        var size = BufferPool.Size.small
    }

    private let kernel = SimulatedKernel()
    private let proactor: IOUringProactor
    private var generator: SeededGenerator
    private var nextToken: UInt64 = 1
    private let state: State
    private(set) var completedCount = 0

    /// What the kernel's functions change.
    private final class State {
        var operations: [UInt64: Operation] = [:]
        var generator: SeededGenerator
        var problems: [String] = []
        /// The buffers of the pool that the test has.
        var lent: [UnsafeMutableRawPointer: BufferPool.Size] = [:]
        var isCalm = false

        init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

        func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
    }

    private static let fakeDescriptor = CInt(1_000_000)

    var overflowCount: Int { kernel.overflowCount }
    var problems: [String] { Array(state.problems.prefix(5)) }

    init(seed: UInt64, submissions: UInt32, completions: UInt32) throws {
        generator = SeededGenerator(seed: seed)
        proactor = IOUringProactor(
            simulating: kernel.makeRing(submissions: submissions, completions: completions))
        state = State(seed: seed &+ 1_000)
        let (kernel, state) = (kernel, state)
        kernel.immediateResult = { (operation: SimulatedKernel.Operation) in
            let result: SimulatedKernel.ImmediateResult =
                switch state.below(6) {
                case 0: .failed(.resourceTemporarilyUnavailable)
                case 1: .failed(.brokenPipe)
                case 2: .count(state.below(operation.bytes.count))
                default: .all
                }
            switch result {
            case .all: state.operations[operation.token]?.sentCount = operation.bytes.count
            case .count(let count): state.operations[operation.token]?.sentCount = count
            case .failed(let error): state.operations[operation.token]?.sentCount = failure(error)
            }
            return result
        }
        kernel.sent = { (operation: SimulatedKernel.Operation, bytes: UnsafeRawBufferPointer) in
            // Freed memory has other bytes.
            if !bytes.isFilled(with: UInt8(truncatingIfNeeded: operation.token)) {
                state.problems.append("the memory of send \(operation.token) was not its own")
            }
        }
        kernel.entered = { [unowned kernel] in Self.completeSome(kernel, state) }
    }

    // MARK: The kernel

    private static func completeSome(_ kernel: SimulatedKernel, _ state: State) {
        kernel.mostTaken = state.isCalm || state.below(3) > 0 ? .max : UInt32(state.below(3))
        kernel.cancelsAtOnce = state.isCalm || state.below(2) == 0
        kernel.holdsOverflow = !state.isCalm && state.below(4) == 0
        if !state.isCalm, state.below(12) == 0 {
            let errors: [Errno] = [.resourceTemporarilyUnavailable, .resourceBusy, .interrupted]
            kernel.errors.append(errors[state.below(3)])
        }
        let count = state.isCalm ? kernel.operations.count : state.below(4)
        for _ in 0..<count where !kernel.operations.isEmpty {
            complete(kernel.operations[state.below(kernel.operations.count)], kernel, state)
        }
    }

    private static func complete(_ operation: SimulatedKernel.Operation, _ kernel: SimulatedKernel, _ state: State) {
        let data = operation.userData
        let ends = state.isCalm || state.below(4) == 0
        if operation.isCancelled, state.below(2) == 0 {
            kernel.complete(data, -Errno.canceled.rawValue)
        } else if operation.receivesIntoPool {
            switch state.below(8) {
            case 0: kernel.complete(data, 0)
            case 1: kernel.complete(data, -Errno.connectionReset.rawValue)
            case 2: kernel.complete(data, -Errno.noBufferSpace.rawValue)
            default:
                let memory = kernel.receive(operation, hasMore: operation.isMultishot && !ends) { buffer in
                    let count = 1 + state.below(64)
                    for index in 0..<count { buffer[index] = UInt8(truncatingIfNeeded: operation.token) }
                    return count
                }
                if let memory, state.lent[memory] != nil {
                    state.problems.append("a buffer that was lent was provided to the kernel")
                }
            }
        } else if operation.entry.opcode == AIO_RING_SEND {
            let count = 1 + state.below(operation.bytes.count)
            kernel.sent(operation, UnsafeRawBufferPointer(rebasing: operation.bytes[..<count]))
            state.operations[operation.token]?.sentCount = count
            kernel.complete(data, CInt(count))
        } else if operation.entry.opcode == AIO_RING_ACCEPT {
            kernel.complete(data, fakeDescriptor, hasMore: !ends)
        } else {
            kernel.complete(data, state.below(3) == 0 ? -Errno.connectionRefused.rawValue : 1)
        }
    }

    // MARK: The program

    private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    mutating func run(steps: Int) throws {
        for step in 0..<steps where state.problems.isEmpty {
            switch below(8) {
            case 0...3: if state.operations.count < 200 { try submit() }
            case 4: cancel()
            case 5 where step % 3 == 0: proactor.flush()
            default: wait()
            }
            checkBuffers()
        }
        // Everything ends, because the kernel is kind from now on.
        state.isCalm = true
        for _ in 0..<100 where !state.operations.isEmpty {
            for (token, operation) in state.operations { proactor.cancel(operation.kind, token: token) }
            wait()
        }
        if !state.operations.isEmpty { state.problems.append("\(state.operations) have not completed") }
        // What is in flight is returned by `close`.
        for _ in 0..<20 { try submit() }
        proactor.close()
        for operation in state.operations.values { operation.bytes?.deallocate() }
        for (memory, size) in state.lent { proactor.buffers.put(memory, size) }
        if proactor.hasUnfinishedOperations { state.problems.append("close has not ended everything") }
    }

    private mutating func submit() throws {
        let socket = Socket(number: Self.fakeDescriptor)
        let token = nextToken
        nextToken += 1
        let kinds: [ProactorOperation.Kind] = [.accept, .connect, .receiveIntoPool, .send, .poll, .receive]
        var operation = Operation(kind: kinds[below(kinds.count)])
        let submitted: ProactorOperation
        switch operation.kind {
        case .accept: submitted = .accept(on: socket)
        case .connect: submitted = .connect(socket, to: SocketAddress(literal: "127.0.0.1", port: 1)!)
        case .receiveIntoPool:
            operation.size = BufferPool.Size(index: below(3))
            submitted = .receiveIntoPool(from: socket, size: operation.size)
        case .poll: submitted = .poll(socket.descriptor, for: .read)
        default:
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 + below(100), alignment: 16)
            bytes.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: token))
            operation.bytes = bytes
            submitted =
                operation.kind == .send
                ? .send(UnsafeRawBufferPointer(bytes), on: socket) : .receive(from: socket, into: bytes)
        }
        state.operations[token] = operation
        try proactor.submit(submitted, token: token)
    }

    private mutating func cancel() {
        if let (token, operation) = state.operations.randomElement(using: &generator), below(10) > 0 {
            proactor.cancel(operation.kind, token: token)
        } else {
            // One that has completed, or has never existed.
            let kinds: [ProactorOperation.Kind] = [.accept, .send, .poll, .connect]
            proactor.cancel(kinds[below(4)], token: nextToken + 1_000_000)
        }
    }

    private mutating func wait() {
        var completions: [Completion] = []
        do {
            try proactor.wait(timeoutNanoseconds: below(2) == 0 ? 0 : 1, into: &completions)
        } catch {
            if error != .resourceTemporarilyUnavailable, error != .resourceBusy { state.problems.append("\(error)") }
        }
        for completion in completions { take(completion) }
    }

    private mutating func take(_ completion: Completion) {
        guard let operation = state.operations[completion.token] else {
            return state.problems.append("\(completion), which is not pending")
        }
        if let buffer = completion.buffer {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer.bytes.prefix(completion.result))
            if buffer.size != operation.size || operation.kind != .receiveIntoPool
                || !bytes.isFilled(with: UInt8(truncatingIfNeeded: completion.token))
            {
                state.problems.append("\(completion) has other bytes")
            }
            if state.lent.updateValue(buffer.size, forKey: buffer.memory) != nil {
                state.problems.append("\(buffer) was lent twice")
            }
            // Some are retained for a while.
            if below(4) > 0 || state.lent.count > 50, let (memory, size) = state.lent.randomElement(using: &generator) {
                state.lent[memory] = nil
                proactor.buffers.put(memory, size)
            }
        } else if operation.kind == .receiveIntoPool, completion.result > 0 {
            state.problems.append("\(completion) has no buffer")
        }
        if operation.kind == .send { check(completion, of: operation) }
        if completion.hasMore { return }
        completedCount += 1
        state.operations[completion.token] = nil
        if let bytes = operation.bytes { memoryIsFree(bytes) }
    }

    /// A send has moved exactly the bytes that it reports.
    private func check(_ completion: Completion, of operation: Operation) {
        let isCancelled = completion.result == failure(.canceled)
        if isCancelled ? operation.sentCount > 0 : completion.result != operation.sentCount {
            state.problems.append("\(completion), but the kernel's result was \(operation.sentCount)")
        }
    }

    /// No buffer is provided twice, or lent and provided.
    private func checkBuffers() {
        guard state.below(50) == 0 else { return }
        for group in 0..<3 {
            let provided = kernel.providedBuffers(group).map { UnsafeMutableRawPointer(bitPattern: UInt($0.address))! }
            if Set(provided).count != provided.count { state.problems.append("a buffer was provided twice") }
            if provided.contains(where: { state.lent[$0] != nil }) {
                state.problems.append("a lent buffer was provided")
            }
        }
    }
}
#endif
