import AsyncIO
import CAsyncIO

/// The life of a test's loop, and what is looked at when it ends.
struct LeakCheck {
    /// Ticks in which what is under way may come to its end. None of them waits; the last ones are a millisecond apart, for
    /// what other threads have to do.
    private static let closingTicks = 1_000
    private static let slowClosingTicks = 2_000
    /// How long other threads may hold the loop after its close.
    private static let longestReleaseMilliseconds = 2_000

    let options: LoopTestOptions
    let current: CurrentLoop

    func run<Loop: EventLoop, Value>(_ makeLoop: () throws -> Loop, _ use: (Loop) throws -> Value) throws -> Value {
        weak var remaining: Loop?
        let outcome = try {
            let loop = try makeLoop()
            remaining = loop
            current.set(loop)
            defer { current.set(nil) }
            return try useAndClose(loop, use)
        }()
        var problems = outcome.problems
        for _ in 0..<Self.longestReleaseMilliseconds where remaining != nil { usleep(1_000) }
        if remaining != nil { problems.append("somebody still holds the loop after its close") }
        if !problems.isEmpty { throw LoopTestFailure(problems: problems) }
        return outcome.value
    }

    private func useAndClose<Loop: EventLoop, Value>(
        _ loop: Loop, _ use: (Loop) throws -> Value
    ) throws -> (value: Value, problems: [String]) {
        let reports = Reports()
        if loop.isOnLoop {
            reports.listen(to: loop)
        } else {
            // It was made elsewhere and becomes this thread's with its first run.
            try loop.callSoonThreadsafe { [unowned loop] in reports.listen(to: loop) }
        }
        let value: Value
        do {
            value = try use(loop)
        } catch {
            // The error is what the caller wants to hear of, not its consequences.
            loop.cancelAllTasks()
            try? finish(loop)
            try? loop.close()
            throw error
        }

        var problems: [String] = []
        if !loop.isClosed {
            try finish(loop)
            let statistics = loop.statistics
            if !options.mayLeaveWork, !statistics.isQuiet { problems.append("left behind: \(statistics.summary)") }
            if statistics.tasks > 0 {
                loop.cancelAllTasks()
                try finish(loop)
            }
            try loop.close()
        }
        let statistics = loop.statistics
        if !statistics.isQuiet { problems.append("left behind by close(): \(statistics.summary)") }
        if statistics.unhandledErrors != options.unhandledErrors {
            let texts = reports.texts.isEmpty ? "" : ": \(reports.texts.joined(separator: ", "))"
            problems.append(
                "\(statistics.unhandledErrors) unhandled errors instead of \(options.unhandledErrors)\(texts)")
        }
        return (value, problems)
    }

    /// Runs ticks until nothing is left to do.
    private func finish(_ loop: EventLoop) throws {
        let ticks = Self.closingTicks + (options.mayLeaveWork ? 0 : Self.slowClosingTicks)
        for tick in 0..<ticks where !loop.statistics.isQuiet {
            if tick >= Self.closingTicks { usleep(1_000) }
            loop.stop()
            try loop.runForever()
        }
    }
}

/// What went to the exception handler, for the failure's text. The loop's thread only.
private final class Reports: @unchecked Sendable {
    private(set) var texts: [String] = []

    func listen(to loop: EventLoop) {
        loop.setExceptionHandler { [self] _, context in texts.append("\(context)") }
    }
}

extension LoopStatistics {
    /// Whether the loop holds nothing.
    var isQuiet: Bool { callbacks == 0 && timers == 0 && waitingTasks == 0 && tasks == 0 && sources == 0 }

    var summary: String {
        let counts = [
            ("callbacks", callbacks), ("timer entries", timers), ("waiting tasks", waitingTasks), ("tasks", tasks),
            ("connections, servers and watchers", sources),
        ]
        let found = counts.filter { $0.1 != 0 }.map { "\($0.1) \($0.0)" }
        return found.isEmpty ? "nothing" : found.joined(separator: ", ")
    }
}
