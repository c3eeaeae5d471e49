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

    private func send(_ proactor: DirectProactor) throws -> UInt64 {
        try proactor.submit(.send(text.bytes, on: Socket(number: 1_000_000)))
    }

    @Test func successHasNoCompletionInTheQueue() throws {
        let proactor = try makeProactor()
        let token = try send(proactor)
        #expect(try proactor.completions(1) == [Completion(token: token, result: 10)])
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
        let token = try send(proactor)
        // Even though the kernel does not move what it has stored for a while.
        var enters = 0
        kernel.entered = { [kernel] in
            enters += 1
            if enters == 20 { kernel.holdsOverflow = false }
        }
        let completions = try proactor.completions(7)
        #expect(completions.map(\.token) == tokens + [token])
        #expect(completions.last?.result == shortCount ?? failure(.brokenPipe))
        proactor.close()
    }

    // covers: 334, 335
    @Test func submissionThatWasNotTakenIsNoSuccess() throws {
        let proactor = try makeProactor()
        var results: [CInt] = []
        let first = try send(proactor)
        let second = try send(proactor)
        // The kernel takes one entry, and then none for a while.
        kernel.mostTaken = 1
        kernel.immediateResult = { operation in
            results.append(CInt(operation.token))
            return operation.token == first ? .all : .failed(.connectionReset)
        }
        kernel.entered = { [kernel] in kernel.mostTaken = 0 }
        var completions = try proactor.completions()
        #expect(completions == [])
        completions = try proactor.completions()
        #expect(completions == [])
        #expect(results == [CInt(first)])
        kernel.mostTaken = 5
        completions = try proactor.completions(2)
        #expect(
            Set(completions)
                == [Completion(token: first, result: 10), Completion(token: second, result: failure(.connectionReset))])
        proactor.close()
    }

    // covers: 335
    @Test(arguments: [Errno.resourceTemporarilyUnavailable, .resourceBusy, .interrupted])
    func errorOfTheEnterIsNoSuccess(error: Errno) throws {
        let proactor = try makeProactor()
        kernel.errors = [error, error, error, error]
        kernel.immediateResult = { _ in .failed(.brokenPipe) }
        let token = try send(proactor)
        var completions: [Completion] = []
        for _ in 0..<10 where completions.isEmpty { completions += try proactor.completions() }
        #expect(completions == [Completion(token: token, result: failure(.brokenPipe))])
        proactor.close()
    }

    // covers: 335
    @Test func sendThatWouldBlockIsSubmittedAgainAndWaits() throws {
        let proactor = try makeProactor()
        kernel.immediateResult = { _ in .failed(.resourceTemporarilyUnavailable) }
        let token = try send(proactor)
        #expect(try proactor.completions() == [])
        #expect(try proactor.completions() == [])
        let waiting = try #require(kernel.operations.first)
        #expect(kernel.operations.count == 1 && waiting.token == token)
        #expect(waiting.entry.flags & AIO_RING_SKIP_SUCCESS == 0)
        #expect(waiting.entry.operation_flags & AIO_RING_IMMEDIATE == 0)
        #expect(waiting.bytes.elementsEqual(text.bytes))
        kernel.complete(waiting.userData, 7)
        #expect(try proactor.completions() == [Completion(token: token, result: 7)])
        proactor.close()
    }

    // covers: 328
    @Test func cancelledSendThatWouldBlockIsNotSubmittedAgain() throws {
        let proactor = try makeProactor()
        kernel.immediateResult = { _ in .failed(.resourceTemporarilyUnavailable) }
        let token = try send(proactor)
        proactor.cancel(.send, token)
        #expect(try proactor.completions(1) == [Completion(token: token, result: failure(.canceled))])
        #expect(kernel.operations.isEmpty)

        // And one that waits already.
        let waiting = try send(proactor)
        #expect(try proactor.completions() == [])
        proactor.cancel(.send, waiting)
        #expect(try proactor.completions(1) == [Completion(token: waiting, result: failure(.canceled))])
        proactor.close()
    }

    // covers: F26
    @Test func completionThatComesTwiceIsIgnored() throws {
        let proactor = try makeProactor()
        kernel.immediateResult = { _ in .count(4) }
        kernel.sent = { [kernel] operation, _ in kernel.post(operation.userData, 4) }
        let token = try send(proactor)
        #expect(try proactor.completions(1) == [Completion(token: token, result: 4)])
        // The next send with another token is not affected.
        kernel.sent = { [kernel] operation, _ in kernel.post(operation.userData &- 1, 4) }
        let next = try send(proactor)
        #expect(try proactor.completions(1) == [Completion(token: next, result: 4)])
        proactor.close()
    }

    // covers: 328, 338
    @Test func closingEndsASendThatWouldBlock() throws {
        let proactor = try makeProactor()
        // The first one is in the kernel when the proactor is closed, and the other one is submitted by `close`.
        for isFlushed in [true, false] {
            _ = try proactor.completions()
            kernel.immediateResult = { _ in .failed(.resourceTemporarilyUnavailable) }
            _ = try send(proactor)
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
