import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

/// In one suite with the tests of handlers, because signals belong to the process.
extension SignalHandlersTests {
    // covers: 256, 261, 263
    @Test(arguments: TestLoop.all)
    func everySequenceAndTheHandlerReceiveEachSignal(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let former = disposition(of: SIGUSR1)
            var handled = 0
            try loop.addSignalHandler(.user1) { handled += 1 }
            do {
                let sequences = try (0..<3).map { _ in try loop.signals([.user1, .user2]) }
                for round in 1...5 {
                    kill(getpid(), SIGUSR1)
                    for sequence in sequences {
                        var iterator = sequence.makeAsyncIterator()
                        #expect(await iterator.next() == .user1)
                    }
                    await loop.until { handled == round }
                }
                // Removing the handler does not end the sequences.
                loop.removeSignalHandler(.user1)
                kill(getpid(), SIGUSR1)
                for await signal in sequences[0] {
                    #expect(signal == .user1)
                    break
                }
                #expect(handled == 5)
            }
            await loop.until { disposition(of: SIGUSR1) == former }
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 264
    @Test(arguments: TestLoop.all)
    func sequenceStoresEachSignalOnceAndInOrder(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let sequence = try loop.signals([.user1, .user2, .windowChange])
            unblock(SIGUSR1, SIGUSR2, SIGWINCH)
            for _ in 0..<10 { pthread_kill(pthread_self(), SIGUSR2) }
            await loop.yield()
            await loop.yield()
            // These are returned later, although their numbers are smaller or larger.
            for _ in 0..<10 {
                pthread_kill(pthread_self(), SIGUSR1)
                pthread_kill(pthread_self(), SIGWINCH)
                pthread_kill(pthread_self(), SIGUSR2)
            }
            await loop.yield()
            await loop.yield()
            var iterator = sequence.makeAsyncIterator()
            #expect(await iterator.next() == .user2)
            #expect(await iterator.next() == .user1)
            #expect(await iterator.next() == .windowChange)
            let next = loop.createTask { await iterator.next() }
            for _ in 0..<5 { await loop.yield() }
            next.cancel()
            #expect(await next.value == nil)
        }
    }

    // covers: 264
    @Test(arguments: TestLoop.all)
    func sequenceSkipsEarlierSignals(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            try loop.addSignalHandler(.user1) {}
            unblock(SIGUSR1)
            pthread_kill(pthread_self(), SIGUSR1)
            let sequence = try loop.signals([.user1])
            let next = loop.createTask {
                var iterator = sequence.makeAsyncIterator()
                return await iterator.next()
            }
            for _ in 0..<5 { await loop.yield() }
            next.cancel()
            #expect(await next.value == nil)
            loop.removeSignalHandler(.user1)
        }
    }

    @Test(arguments: TestLoop.all)
    func severalTasksCanShareASequence(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let sequence = try loop.signals([.user1])
            var taken = 0
            let tasks = (0..<3).map { _ in
                loop.createTask {
                    for await _ in sequence { taken += 1 }
                }
            }
            for _ in 0..<3 { await loop.yield() }
            for round in 1...6 {
                kill(getpid(), SIGUSR1)
                await loop.until { taken == round }
            }
            // A signal that was to resume a cancelled task resumes another one.
            unblock(SIGUSR1)
            pthread_kill(pthread_self(), SIGUSR1)
            tasks[0].cancel()
            await loop.until { taken == 7 }
            for task in tasks { task.cancel() }
            for task in tasks { await task.value }
            #expect(taken == 7)
        }
    }

    // covers: 259, 260
    @Test(arguments: TestLoop.all)
    func setWithASignalThatCannotBeCaughtCatchesNone(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let former = disposition(of: SIGUSR1)
            for number in [SIGKILL, SIGSTOP, 0, -1, 65, 1_000] {
                #expect(throws: IOError.self) { _ = try loop.signals([.user1, Signal(rawValue: number), .user2]) }
            }
            #expect(disposition(of: SIGUSR1) == former)
            #expect(code { _ = try loop.signals([]) } == .invalidArgument)
            #expect(loop.statistics.sources == 0)
            // A signal that a handler uses stays caught.
            try loop.addSignalHandler(.user1) {}
            #expect(throws: IOError.self) { _ = try loop.signals([.user1, Signal(rawValue: SIGKILL)]) }
            #expect(disposition(of: SIGUSR1) != former)
            loop.removeSignalHandler(.user1)
            #expect(disposition(of: SIGUSR1) == former)
            let ofAnother = try OtherThread.run { code { _ = try loop.signals([.user1]) } }
            #expect(ofAnother == .wrongThread)
        }
    }

    // covers: 261, 263
    @Test(arguments: TestLoop.all)
    func sequenceCanBeReleasedOnAnotherThread(kind: TestLoop) async throws {
        final class Box: @unchecked Sendable { var sequence: LoopSequence<Signal, Never>? }
        try await withLoop(kind, patiently) { loop in
            let former = disposition(of: SIGUSR1)
            let box = Box()
            box.sequence = try loop.signals([.user1])
            #expect(disposition(of: SIGUSR1) != former)
            try OtherThread.run { box.sequence = nil }
            await loop.until { disposition(of: SIGUSR1) == former }
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 262
    @Test(arguments: TestLoop.all)
    func closeEndsSequencesAndATaskOfThePoolCanIterate(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            let former = disposition(of: SIGUSR2)
            let sequence = try loop.signals([.user2])
            let ended = DispatchSemaphore(value: 0)
            Task.detached {
                var count = 0
                for await _ in sequence { count += 1 }
                #expect(count == 1)
                ended.signal()
            }
            var isSent = false
            func look() {
                if loop.statistics.waitingTasks == 1, !isSent {
                    isSent = true
                    kill(getpid(), SIGUSR2)
                } else if loop.statistics.waitingTasks == 1, loop.statistics.suspensions == 2 {
                    return loop.stop()
                }
                loop.callLater(after: .milliseconds(1), look)
            }
            look()
            try loop.runForever()
            try loop.close()
            #expect(disposition(of: SIGUSR2) == former)
            ended.wait()
        }
    }

    // covers: 262
    @Test(arguments: TestLoop.all)
    func signalsDuringCloseAreHarmlessForSequences(kind: TestLoop) async throws {
        signal(SIGUSR2, SIG_IGN)
        defer { resetDisposition(of: SIGUSR2) }
        try await withLoopThread(kind, patiently) { _ in
            for _ in 0..<rounds(debug: 50, full: 500) {
                let loop = try kind.makeLoop()
                var sequence = Optional(try loop.signals([.user2]))
                let thread = OtherThread { for _ in 0..<20 { kill(getpid(), SIGUSR2) } }
                loop.stop()
                try loop.runForever()
                try loop.close()
                thread.join()
                sequence = nil
                #expect(sequence == nil)
            }
        }
    }
}
