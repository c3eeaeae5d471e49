import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

/// Serialized, because signals belong to the process. The threads of loops block all signals, so another thread
/// receives them.
@Suite(.serialized)
struct SignalHandlersTests {
    // covers: 256, 257, 263
    @Test(arguments: TestLoop.all)
    func signalWakesTheLoopAndItsHandlerRunsThere(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            let home = currentThread()
            var calls = 0
            try loop.addSignalHandler(.user1) {
                #expect(currentThread() == home)
                #expect(runningLoop === loop)
                calls += 1
                loop.stop()
            }
            for round in 1...20 {
                // The loop sleeps without a timeout when the signal is delivered.
                let thread = OtherThread { kill(getpid(), SIGUSR1) }
                try loop.runForever()
                thread.join()
                #expect(calls == round)
            }
            let removed = loop.removeSignalHandler(.user1)
            #expect(removed)
            let removedAgain = loop.removeSignalHandler(.user1)
            #expect(!removedAgain)
        }
    }

    // covers: 262
    @Test(arguments: TestLoop.all)
    func loopThatIsReleasedWithoutCloseRestoresSignals(kind: TestLoop) async throws {
        let before = disposition(of: SIGUSR1)
        try await withLoopThread { _ in
            weak var dropped: EventLoop?
            do {
                let loop = try kind.makeLoop()
                dropped = loop
                try loop.addSignalHandler(.user1) {}
                #expect(disposition(of: SIGUSR1) != before)
            }
            #expect(dropped == nil)
            // Otherwise a signal would write to a later file with the number of the loop's descriptor.
            #expect(disposition(of: SIGUSR1) == before)
        }
    }

    // covers: 258
    @Test(arguments: TestLoop.all)
    func pendingSignalIsHandledByTheNewHandlerWhenItIsReplaced(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            var calls: [String] = []
            try loop.addSignalHandler(.user1) { calls.append("former") }
            unblock(SIGUSR1)
            pthread_kill(pthread_self(), SIGUSR1)
            try loop.addSignalHandler(.user1) { calls.append("new") }
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
            #expect(calls == ["new"])
        }
    }

    // covers: 264
    @Test(arguments: TestLoop.all)
    func signalsBeforeTheNextIterationAreMerged(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            var calls: [String] = []
            try loop.addSignalHandler(.user1) { calls.append("user1") }
            try loop.addSignalHandler(.user2) { calls.append("user2") }
            unblock(SIGUSR1, SIGUSR2)
            let before = aio_signal_count(SIGUSR1)
            for _ in 0..<10 { pthread_kill(pthread_self(), SIGUSR1) }
            pthread_kill(pthread_self(), SIGUSR2)
            #expect(aio_signal_count(SIGUSR1) == before + 10)
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
            #expect(calls.sorted() == ["user1", "user2"])
            try loop.close()
        }
    }

    // covers: 263
    @Test(arguments: TestLoop.all)
    func everyLoopWithAHandlerReceivesTheSignal(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { first in
            let ready = DispatchSemaphore(value: 0)
            let other = OtherThread {
                do {
                    let second = try kind.makeLoop()
                    try second.addSignalHandler(.user2) { second.stop() }
                    ready.signal()
                    try second.runForever()
                    try second.close()
                } catch {
                    Issue.record(error)
                }
            }
            try first.addSignalHandler(.user2) { first.stop() }
            ready.wait()
            kill(getpid(), SIGUSR2)
            try first.runForever()
            other.join()
            try first.close()
        }
    }

    // covers: 258, 261
    @Test(arguments: TestLoop.all)
    func lastHandlerIsUsedAndTheFormerDispositionIsRestored(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            signal(SIGUSR1, SIG_IGN)
            defer { resetDisposition(of: SIGUSR1) }
            let former = disposition(of: SIGUSR1)
            var calls: [String] = []
            try loop.addSignalHandler(.user1) { calls.append("first") }
            try loop.addSignalHandler(.user1) {
                calls.append("second")
                loop.stop()
            }
            #expect(disposition(of: SIGUSR1) != former)
            kill(getpid(), SIGUSR1)
            try loop.runForever()
            #expect(calls == ["second"])
            loop.removeSignalHandler(.user1)
            #expect(disposition(of: SIGUSR1) == former)

            // Closing the loop restores it too.
            try loop.addSignalHandler(.user1) {}
            #expect(disposition(of: SIGUSR1) != former)
            try loop.close()
            #expect(disposition(of: SIGUSR1) == former)
        }
    }

    // covers: 259, 260
    @Test(arguments: TestLoop.all)
    func signalThatCannotBeCaughtIsRejectedWithoutAnEffect(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            for number in [SIGKILL, SIGSTOP, 0, -1, 1_000] {
                let error = #expect(throws: IOError.self) { try loop.addSignalHandler(Signal(rawValue: number)) {} }
                #expect(error?.errno == .invalidArgument)
                #expect(error?.description == "cannot catch signal \(number): \(Errno.invalidArgument)")
            }
            #expect(loop.statistics.sources == 0)
            let ofAnother = try OtherThread.run { code { try loop.addSignalHandler(.user1) {} } }
            #expect(ofAnother == .wrongThread)
        }
    }

    /// Otherwise system calls of other libraries would fail with `EINTR` because of these signals.
    @Test(arguments: TestLoop.all)
    func caughtSignalRestartsTheInterruptedSystemCall(kind: TestLoop) async throws {
        try await withLoopThread(kind, patiently) { loop in
            try loop.addSignalHandler(.user1) {}
            #expect(action(of: SIGUSR1).sa_flags & SA_RESTART != 0)
            loop.removeSignalHandler(.user1)
        }
    }

    // covers: 256
    @Test(arguments: TestLoop.all)
    func errorOfAHandlerIsReported(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoopThread(kind, LoopTestOptions(timeLimit: .seconds(60), unhandledErrors: 1)) { loop in
            try loop.addSignalHandler(.user1) {
                loop.stop()
                throw Failure()
            }
            kill(getpid(), SIGUSR1)
            try loop.runForever()
            try loop.close()
        }
    }

    // covers: 262
    @Test(arguments: TestLoop.all)
    func signalsDuringCloseAreHarmless(kind: TestLoop) async throws {
        signal(SIGUSR2, SIG_IGN)
        defer { resetDisposition(of: SIGUSR2) }
        try await withLoopThread(kind, patiently) { _ in
            for _ in 0..<rounds(debug: 100, full: 1_000) {
                let loop = try kind.makeLoop()
                try loop.addSignalHandler(.user2) {}
                let thread = OtherThread { for _ in 0..<20 { kill(getpid(), SIGUSR2) } }
                loop.stop()
                try loop.runForever()
                try loop.close()
                thread.join()
            }
        }
    }

    // covers: 45
    @Test(arguments: TestLoop.all)
    func handlerIsReleasedWhenItIsRemoved(kind: TestLoop) async throws {
        final class Thing {}
        try await withLoopThread(kind, patiently) { loop in
            weak var captured: Thing?
            try {
                let thing = Thing()
                captured = thing
                try loop.addSignalHandler(.user1) { withExtendedLifetime(thing) {} }
            }()
            #expect(captured != nil)
            loop.removeSignalHandler(.user1)
            #expect(captured == nil)
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfAReplacedHandlerMayUseTheLoopInDeinit(kind: TestLoop) async throws {
        final class Last {
            let loop: EventLoop
            init(_ loop: EventLoop) { self.loop = loop }
            deinit {
                _ = loop.removeSignalHandler(.user2)
                try? loop.addSignalHandler(.windowChange) {}
            }
        }
        try await withLoopThread(kind, patiently) { loop in
            try loop.addSignalHandler(.user2) {}
            try {
                let last = Last(loop)
                try loop.addSignalHandler(.user1) { withExtendedLifetime(last) {} }
            }()
            try loop.addSignalHandler(.user1) {}
            let hasSecond = loop.removeSignalHandler(.user2)
            #expect(!hasSecond)
            let hasThird = loop.removeSignalHandler(.windowChange)
            #expect(hasThird)
            loop.removeSignalHandler(.user1)
            #expect(loop.statistics.sources == 0)
        }
    }
}
