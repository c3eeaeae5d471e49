import AsyncIO

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

// Ctrl-C on the main thread. interrupts.py starts this with a scenario's name, sends SIGINT when a line says "ready",
// and looks at what it says and how it ends.

/// Waits for ever, and says when it is told to end.
nonisolated func waitForEnd(_ name: String) async throws {
    let loop = try getRunningLoop()
    do {
        try await loop.sleep(for: .seconds(3_600))
    } catch {
        print("\(name) cancelled")
        throw error
    }
}

/// Says "ready" when the loop is about to sleep.
nonisolated func sayReady() throws {
    let loop = try getRunningLoop()
    loop.callSoon { say("ready") }
}

struct OwnError: Error {}

let scenarios: [String: () throws -> Void] = [
    // The loop sleeps; a task beside the main one, and what is printed, come to their end before the process.
    "wait": {
        try run {
            try getRunningLoop().createBackgroundTask { try await waitForEnd("the other task") }
            try sayReady()
            try await waitForEnd("the main task")
        }
        print("not reached")
    },
    // A runner tells it by its error and can be used again: two runs, one Ctrl-C each, then a third.
    "runner": {
        let runner = Runner()
        for _ in 0..<2 {
            do {
                try runner.run {
                    try sayReady()
                    try await waitForEnd("the main task")
                }
            } catch let error as EventLoopError where error.code == .interrupted {
                print("caught: \(error)")
            }
        }
        print("then \(try runner.run { 3 })")
        try runner.close()
    },
    "swallow": {
        let value = try run {
            try sayReady()
            try? await waitForEnd("the main task")
            return "went on"
        }
        print(value)
    },
    // It comes when the main task has its result already, but has not returned it: that is not taken for a cancelled
    // one.
    "too-late": {
        let runner = Runner()
        do {
            try runner.run {
                let loop = try getRunningLoop()
                let future = loop.createFuture(of: Int.self)
                loop.callSoon {
                    raise(SIGINT)
                    try future.setResult(1)
                }
                print("the main task ended with \(try await future.value)")
            }
            print("not reached")
        } catch let error as EventLoopError where error.code == .interrupted {
            print("caught: \(error)")
        }
        try runner.close()
    },
    "other-error": {
        do {
            try run {
                try sayReady()
                do { try await waitForEnd("the main task") } catch { throw OwnError() }
            }
        } catch is OwnError {
            print("its own error")
        }
    },
    // The loop sleeps, and would for ever.
    "stubborn": {
        try run {
            let loop = try getRunningLoop()
            try sayReady()
            try? await waitForEnd("the main task")
            say("ready")
            await Task { try? await loop.sleep(for: .seconds(3_600)) }.value
        }
    },
    // The loop does not come round.
    "busy": {
        try run {
            try getRunningLoop().callSoon {
                say("ready")
                while true {}
            }
            try await waitForEnd("the main task")
        }
    },
    "busy-drain": {
        try run {
            let loop = try getRunningLoop()
            loop.createBackgroundTask {
                try? await waitForEnd("the other task")
                say("ready")
                await Task { try? await loop.sleep(for: .seconds(3_600)) }.value
            }
            await loop.yield()
        }
    },
    "busy-drain-after-ctrl-c": {
        try run {
            let loop = try getRunningLoop()
            loop.createBackgroundTask {
                try? await waitForEnd("the other task")
                say("ready")
                await Task { try? await loop.sleep(for: .seconds(3_600)) }.value
            }
            try sayReady()
            try await waitForEnd("the main task")
        }
    },
    // A handler of the program's own gets the signal, as long as it is there.
    "handler": {
        try run {
            let loop = try getRunningLoop()
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                do {
                    try loop.addSignalHandler(.interrupt) {
                        print("handled")
                        continuation.resume()
                    }
                    try sayReady()
                } catch {
                    continuation.resume(throwing: error)
                }
            }
            loop.removeSignalHandler(.interrupt)
            try sayReady()
            try await waitForEnd("the main task")
        }
    },
    // It outlives its run: what the signal did before the run is what it does when the handler is gone.
    "handler-outlives-run": {
        let runner = Runner()
        try runner.run { try getRunningLoop().addSignalHandler(.interrupt) {} }
        try runner.getLoop().removeSignalHandler(.interrupt)
        say("ready")
        while true { pause() }
    },
    // Byte for byte: handler, flags and mask, after a run, and after a handler that outlived one.
    "restored": {
        let before = InterruptDisposition()
        let runner = Runner()
        let during = try runner.run {
            let during = InterruptDisposition()
            try getRunningLoop().addSignalHandler(.interrupt) {}
            try getRunningLoop().removeSignalHandler(.interrupt)
            precondition(InterruptDisposition() == during)
            return during
        }
        precondition(during != before)
        print(InterruptDisposition() == before ? "restored after a run" : "changed by a run")
        try runner.run { try getRunningLoop().addSignalHandler(.interrupt) {} }
        try runner.getLoop().removeSignalHandler(.interrupt)
        print(InterruptDisposition() == before ? "restored after a handler" : "changed by a handler")
        try runner.run { try getRunningLoop().addSignalHandler(.interrupt) {} }
        try runner.close()
        print(InterruptDisposition() == before ? "restored by the close" : "changed by the close")
    },
    "ignored": {
        signal(SIGINT, SIG_IGN)
        try run {
            kill(getpid(), SIGINT)
            try await getRunningLoop().sleep(for: .milliseconds(1))
        }
        kill(getpid(), SIGINT)
        print("still ignored")
    },
    "after-the-run": {
        try run { await Task.yield() }
        say("ready")
        while true { pause() }
    },
    "forked-child": {
        let runner = Runner()
        do {
            try runner.run {
                try getRunningLoop().callSoon {
                    let child = startChild { while true { pause() } }
                    kill(child, SIGINT)
                    var status: CInt = 0
                    waitpid(child, &status, 0)
                    print("the child ended by signal \(status & 0x7f)")
                }
                try await getRunningLoop().sleep(for: .milliseconds(1))
            }
        } catch { print("\(error)") }
        try runner.close()
    },
    "off-the-main-thread": {
        runOnAnotherThread {
            try sayReady()
            try await waitForEnd("the main task")
        }
    },
]

try scenarios[CommandLine.arguments.last ?? ""]?()
