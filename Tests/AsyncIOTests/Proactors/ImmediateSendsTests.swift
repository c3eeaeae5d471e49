#if os(Linux)
import AsyncIOSystem
import CAsyncIO
import Proactors
import SystemPackage
import Testing

/// Sends that post no completion when they succeed, on a simulated kernel: a send is reported as successful only when
/// nothing else can be said of it any more.
struct ImmediateSendsTests {
    private let kernel = SimulatedKernel()
    private let text = SentBytes("0123456789")

    private func makeProactor(submissions: UInt32 = 16, completions: UInt32 = 16) throws -> DirectProactor {
        try DirectProactor(
            IOUringProactor(simulating: kernel.makeRing(submissions: submissions, completions: completions)))
    }

    /// Submits a send with this token.
    private func send(_ proactor: DirectProactor, token: UInt64) {
        let send = ImmediateSend(text.bytes, on: Socket(number: 1_000_000), token: token)
        withUnsafePointer(to: send) {
            proactor.proactor.submitImmediateSends(UnsafeBufferPointer(start: $0, count: 1))
        }
    }

    /// Waits without blocking.
    private func poll(_ proactor: DirectProactor) throws -> [Completion] {
        var completions: [Completion] = []
        try proactor.proactor.wait(timeoutNanoseconds: 0, into: &completions)
        return completions
    }

    @Test func successHasNoCompletion() throws {
        let proactor = try makeProactor()
        send(proactor, token: 7)
        #expect(!proactor.proactor.immediateSendsHaveEnded)
        #expect(try poll(proactor) == [])
        #expect(proactor.proactor.immediateSendsHaveEnded)
        #expect(kernel.enterCount == 1)
        proactor.close()
    }

    // covers: 333, 335
    @Test(arguments: [3, nil]) func failureInTheOverflowListIsNoSuccess(shortCount: Int?) throws {
        let proactor = try makeProactor(completions: 4)
        kernel.immediateResult = { _ in shortCount.map { .count($0) } ?? .failed(.brokenPipe) }
        kernel.holdsOverflow = true
        // They fill the completion queue before the send fails.
        var tokens: [UInt64] = []
        for _ in 0..<6 { tokens.append(try proactor.submit(.poll(FileDescriptor(rawValue: 1_000_000), for: .read))) }
        kernel.taken = { [kernel] operation in kernel.complete(operation.userData, 1) }
        send(proactor, token: 100)
        // The kernel does not move what it has stored, for longer than one wait tries.
        var enters = 0
        kernel.entered = { [kernel] in
            enters += 1
            if enters == 1_500 { kernel.holdsOverflow = false }
        }
        var completions = try poll(proactor)
        #expect(!completions.contains { $0.token == 100 } && !proactor.proactor.immediateSendsHaveEnded)
        completions += try poll(proactor)
        #expect(proactor.proactor.immediateSendsHaveEnded)
        #expect(completions.map(\.token) == tokens + [100])
        let expected = Completion(token: 100, result: shortCount ?? failure(.brokenPipe), hasMore: true)
        #expect(completions.last == expected)
        proactor.close()
    }

    // covers: 334, 335
    @Test func submissionThatWasNotTakenIsNoSuccess() throws {
        let proactor = try makeProactor()
        var taken: [UInt64] = []
        send(proactor, token: 1)
        send(proactor, token: 2)
        // The kernel takes one entry, and then none for a while.
        kernel.mostTaken = 1
        kernel.immediateResult = { operation in
            taken.append(operation.token)
            return operation.token == 1 ? .all : .failed(.connectionReset)
        }
        kernel.entered = { [kernel] in kernel.mostTaken = 0 }
        for _ in 0..<2 {
            #expect(try poll(proactor) == [])
            #expect(!proactor.proactor.immediateSendsHaveEnded)
            #expect(taken == [1])
        }
        kernel.mostTaken = 5
        #expect(try poll(proactor) == [Completion(token: 2, result: failure(.connectionReset), hasMore: true)])
        #expect(proactor.proactor.immediateSendsHaveEnded)
        proactor.close()
    }

    // covers: 335
    @Test(arguments: [Errno.resourceTemporarilyUnavailable, .resourceBusy, .interrupted])
    func errorOfTheEnterIsNoSuccess(error: Errno) throws {
        let proactor = try makeProactor()
        kernel.errors = [error, error, error, error]
        kernel.immediateResult = { _ in .failed(.brokenPipe) }
        send(proactor, token: 1)
        var completions: [Completion] = []
        for _ in 0..<10 where completions.isEmpty {
            completions += try poll(proactor)
            #expect(proactor.proactor.immediateSendsHaveEnded == !completions.isEmpty)
        }
        #expect(completions == [Completion(token: 1, result: failure(.brokenPipe), hasMore: true)])
        proactor.close()
    }

    // covers: 335
    @Test func sendAtOnceReturnsTheResult() throws {
        let proactor = try makeProactor()
        #expect(try poll(proactor) == [])
        let socket = Socket(number: 1_000_000)
        let results: [(SimulatedKernel.ImmediateResult, IOResult)] = [
            (.all, .bytes(10)), (.count(4), .bytes(4)), (.failed(.resourceTemporarilyUnavailable), .wouldBlock),
            (.failed(.brokenPipe), .failed(.brokenPipe)), (.all, .bytes(10)),
        ]
        for (result, expected) in results {
            kernel.immediateResult = { _ in result }
            #expect(proactor.proactor.sendAtOnce(text.bytes, on: socket) == expected)
            #expect(try poll(proactor) == [])
        }
        proactor.close()
    }

    // covers: 333
    @Test func sendAtOnceFindsItsResultBehindAFullQueueAndLosesNoOther() throws {
        let proactor = try makeProactor(completions: 4)
        #expect(try poll(proactor) == [])
        var tokens: [UInt64] = []
        for _ in 0..<9 { tokens.append(try proactor.submit(.poll(FileDescriptor(rawValue: 1_000_000), for: .read))) }
        kernel.taken = { [kernel] operation in kernel.complete(operation.userData, 1) }
        kernel.immediateResult = { _ in .count(3) }
        #expect(proactor.proactor.sendAtOnce(text.bytes, on: Socket(number: 1_000_000)) == .bytes(3))
        #expect(kernel.overflowCount > 0)
        #expect(try proactor.completions(9).map(\.token) == tokens)
        proactor.close()
    }

    // covers: 328, 338
    @Test func closingEndsASendThatWaits() throws {
        let proactor = try makeProactor()
        // The first one is in the kernel when the proactor is closed, and the other one is submitted by `close`.
        for isFlushed in [true, false] {
            _ = try proactor.completions()
            _ = try proactor.submit(.send(text.bytes, on: Socket(number: 1_000_000)))
            if isFlushed { proactor.proactor.flush() }
        }
        proactor.close()
        #expect(!proactor.proactor.hasUnfinishedOperations)
        #expect(kernel.operations.isEmpty)
    }
}

/// Memory for a send.
final class SentBytes {
    private let memory: UnsafeMutableRawBufferPointer

    init(_ text: String) {
        let bytes = Array(text.utf8)
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
#endif
