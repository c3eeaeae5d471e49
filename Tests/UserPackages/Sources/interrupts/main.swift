import AsyncIO

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

// Ctrl-C on the main thread. interrupts.py starts this program with the name of a scenario, sends SIGINT when a line
// says "ready", and checks the output and how the program ends.

/// Waits forever, and prints a line when it is cancelled.
nonisolated func waitForEnd(_ name: String) async throws {
    let loop = try getRunningLoop()
    do {
        try await loop.sleep(for: .seconds(3_600))
    } catch {
        print("\(name) cancelled")
        throw error
    }
}

/// Prints "ready" when the loop is about to wait.
nonisolated func sayReady() throws {
    let loop = try getRunningLoop()
    loop.callSoon { say("ready") }
}

struct OwnError: Error {}

let scenarios: [String: () throws -> Void] = [
    // The loop waits. A task besides the main task ends, and its output is printed, before the process ends.
    "wait": {
        try run {
            try getRunningLoop().createBackgroundTask { try await waitForEnd("the other task") }
            try sayReady()
            try await waitForEnd("the main task")
        }
        print("not reached")
    },
    // A runner throws an error and remains usable: two runs, one Ctrl-C each, then a third run.
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
    // The signal comes when the main task has a result but has not returned it. That does not count as a cancelled
    // task.
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
    // The loop would wait forever.
    "stubborn": {
        try run {
            let loop = try getRunningLoop()
            try sayReady()
            try? await waitForEnd("the main task")
            say("ready")
            await Task { try? await loop.sleep(for: .seconds(3_600)) }.value
        }
    },
    // A callback of the loop never returns.
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
    // A handler of the program gets the signal as long as it is set.
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
    // The handler outlives its run. When it is removed, the signal has the disposition from before the run.
    "handler-outlives-run": {
        let runner = Runner()
        try runner.run { try getRunningLoop().addSignalHandler(.interrupt) {} }
        try runner.getLoop().removeSignalHandler(.interrupt)
        say("ready")
        while true { pause() }
    },
    // Exactly: handler, flags and mask, after a run, and after a handler that outlived a run.
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
