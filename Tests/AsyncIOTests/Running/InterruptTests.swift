import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

/// Shows where Ctrl-C is not handled. Where it is handled is tested by `Tests/UserPackages/interrupts.py`.
struct InterruptTests {
    @Test func runOffTheMainThreadDoesNotHandleInterrupts() async throws {
        try await withLoopThread { _ in
            let before = interruptDisposition()
            let during = try run { interruptDisposition() }
            #expect(during == before)
            #expect(interruptDisposition() == before)
        }
    }

    @Test func throwingInterruptedDoesNotEndTheProcess() async throws {
        try await withLoopThread { _ in
            let thrown = code { try run { throw EventLoopError(.interrupted, "not by Ctrl-C") } }
            #expect(thrown == .interrupted)
        }
    }

    // covers: 39
    @Test(.startsProcess) func secondInterruptEndsTheProcessWhileAThreadWaitsForInput() async {
        await #expect(processExitsWith: .signal(SIGINT)) {
            // A process that hangs is ended by another signal.
            alarm(60)
            var ends: [CInt] = [0, 0]
            pipe(&ends)
            nonisolated(unsafe) let stream = fdopen(ends[0], "r")!
            _ = OtherThread { fgetc(stream) }
            // Until the reader holds the stream, which it then does forever.
            while ftrylockfile(stream) == 0 {
                funlockfile(stream)
                sched_yield()
            }
            aio_end_by_interrupt()
        }
    }
}

private func interruptDisposition() -> UInt {
    var action = sigaction()
    sigaction(SIGINT, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self)
}
