import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

/// Serial, since signals are the process's. The threads of loops block all signals, so another one takes them.
@Suite(.serialized)
struct SignalHandlersTests {
    // covers: 256, 257, 263
    @Test func aSignalWakesTheLoopAndItsHandlerRunsThere() async throws {
        try await withLoopThread(.auto, patiently) { loop in
            let home = currentThread()
            var calls = 0
            try loop.addSignalHandler(.user1) {
                #expect(currentThread() == home)
                #expect(runningLoop === loop)
                calls += 1
                loop.stop()
            }
            for round in 1...20 {
                // The loop sleeps without end when it comes.
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

    // covers: 258
    @Test func aLoopThatWasDroppedUnclosedLeavesNoSignalCaught() async throws {
        let before = disposition(of: SIGUSR1)
        try await withLoopThread { _ in
            weak var dropped: EventLoop?
            do {
                let loop = try LoopKind.auto.makeLoop()
                dropped = loop
                try loop.addSignalHandler(.user1) {}
                #expect(disposition(of: SIGUSR1) != before)
            }
            #expect(dropped == nil)
            // Otherwise a signal would write to whoever gets the loop's descriptor next.
            #expect(disposition(of: SIGUSR1) == before)
        }
    }

    @Test func aSignalThatWaitsIsTheNewHandlersWhenItIsReplaced() async throws {
        try await withLoopThread(.auto, patiently) { loop in
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
    @Test func signalsThatComeBeforeTheLoopLooksAreOne() async throws {
        try await withLoopThread(.auto, patiently) { loop in
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
    @Test func everyLoopWithAHandlerGetsTheSignal() async throws {
        try await withLoopThread(.auto, patiently) { first in
            let ready = DispatchSemaphore(value: 0)
            let other = OtherThread {
                do {
                    let second = try LoopKind.auto.makeLoop()
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
    @Test func theLastHandlerCountsAndTheFormerDispositionComesBack() async throws {
        try await withLoopThread(.auto, patiently) { loop in
            signal(SIGUSR1, SIG_IGN)
            defer { signal(SIGUSR1, SIG_DFL) }
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

            // A close gives it back too.
            try loop.addSignalHandler(.user1) {}
            #expect(disposition(of: SIGUSR1) != former)
            try loop.close()
            #expect(disposition(of: SIGUSR1) == former)
        }
    }

    // covers: 259, 260
    @Test func aSignalThatCannotBeCaughtIsRefusedAndLeavesNothing() async throws {
        try await withLoopThread(.auto, patiently) { loop in
            for number in [SIGKILL, SIGSTOP, 0, -1, 1_000] {
                #expect(throws: (any Error).self) { try loop.addSignalHandler(Signal(rawValue: number)) {} }
            }
            #expect(loop.statistics.sources == 0)
            let ofAnother = try OtherThread.run { code { try loop.addSignalHandler(.user1) {} } }
            #expect(ofAnother == .wrongThread)
        }
    }

    // covers: 256
    @Test func anErrorOfAHandlerIsReported() async throws {
        struct Failure: Error {}
        try await withLoopThread(.auto, LoopTestOptions(timeLimit: .seconds(60), unhandledErrors: 1)) { loop in
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
    @Test func signalsDuringACloseHarmNobody() async throws {
        signal(SIGUSR2, SIG_IGN)
        defer { signal(SIGUSR2, SIG_DFL) }
        try await withLoopThread(.auto, patiently) { _ in
            for _ in 0..<rounds(debug: 100, release: 1_000) {
                let loop = try LoopKind.auto.makeLoop()
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
    @Test func aHandlerIsReleasedWhenItIsRemoved() async throws {
        final class Thing {}
        try await withLoopThread(.auto, patiently) { loop in
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
}

/// From here on, a signal that this thread sends to itself is delivered before the call returns.
private func unblock(_ signals: CInt...) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
}

/// The address of its handler.
private func disposition(of signal: CInt) -> UInt {
    var action = sigaction()
    sigaction(signal, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self)
}
