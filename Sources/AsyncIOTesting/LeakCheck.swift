import AsyncIO
import CAsyncIO

/// Creates, uses and closes the loop of a test, and checks what is left.
struct LeakCheck {
    /// The number of iterations in which pending work may end. None of them waits.
    private static let closingTicks = 1_000
    /// How long nothing may have happened before the remaining work counts as left behind. Work that only the program
    /// could end is reported almost at once.
    private static func patience(with work: [PendingWork]) -> Duration {
        switch work.map(\.endedBy).max() {
        case EndingCause.none?, nil: .milliseconds(20)
        case .peer?: .milliseconds(500)
        case .thread?: .seconds(2)
        }
    }

    /// How long other threads may retain the loop after its close.
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
        if remaining != nil { problems.append("the loop is still retained after its close") }
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
            // The loop was created on another thread, and belongs to this one from its first run on.
            try loop.callSoonThreadsafe { [unowned loop] in reports.listen(to: loop) }
        }
        let value: Value
        do {
            value = try use(loop)
        } catch {
            // The caller needs the error of the body, not its consequences.
            loop.cancelAllTasks()
            try? finish(loop)
            try? loop.close()
            throw error
        }

        var problems: [String] = []
        if !loop.isClosed {
            try finish(loop)
            let statistics = loop.statistics
            if !options.allowsLeftoverWork, !statistics.isQuiet {
                problems.append("left behind: \(loop.pendingWork.summary)")
            }
            if statistics.tasks > 0 {
                loop.cancelAllTasks()
                try finish(loop)
            }
            try loop.close()
        }
        let statistics = loop.statistics
        if !statistics.isQuiet { problems.append("left behind by close(): \(loop.pendingWork.summary)") }
        if statistics.unhandledErrors != options.unhandledErrors {
            let texts = reports.texts.isEmpty ? "" : ": \(reports.texts.joined(separator: ", "))"
            problems.append(
                "\(statistics.unhandledErrors) unhandled errors instead of \(options.unhandledErrors)\(texts)")
        }
        return (value, problems)
    }

    /// Runs iterations until no work is left, or nothing happens any more.
    private func finish(_ loop: EventLoop) throws {
        for _ in 0..<Self.closingTicks where !loop.statistics.isQuiet { try runOnce(loop) }
        if options.allowsLeftoverWork { return }
        var progress = Progress(of: loop)
        var lastChange = EventLoopClock.system.now
        while !loop.statistics.isQuiet {
            usleep(1_000)
            try runOnce(loop)
            let now = EventLoopClock.system.now
            let current = Progress(of: loop)
            if current != progress {
                (progress, lastChange) = (current, now)
            } else if lastChange.duration(to: now)
                > Self.patience(with: loop.pendingWork) * LoopTestOptions.patience
            {
                return
            }
        }
    }

    private func runOnce(_ loop: EventLoop) throws {
        loop.stop()
        try loop.runForever()
    }
}

/// Counters that change while a loop makes progress.
private struct Progress: Equatable {
    private let counts: [Int]

    init(of loop: EventLoop) {
        let statistics = loop.statistics
        counts = [
            statistics.callbacks, statistics.timers, statistics.waitingTasks, statistics.tasks, statistics.sources,
            statistics.hops, statistics.suspensions,
        ]
    }
}

/// The reports that went to the exception handler, for the text of a failure.
///
/// - Thread: the loop's.
private final class Reports: @unchecked Sendable {
    private(set) var texts: [String] = []

    func listen(to loop: EventLoop) {
        loop.setExceptionHandler { [self] _, context in texts.append("\(context)") }
    }
}

extension LoopStatistics {
    /// Whether the loop contains no work.
    var isQuiet: Bool { callbacks == 0 && timers == 0 && waitingTasks == 0 && tasks == 0 && sources == 0 }
}

extension [PendingWork] {
    /// Each piece of work once, with a count if there are several of the same call site.
    var summary: String {
        var counts: [String: Int] = [:]
        for work in self { counts[work.text, default: 0] += 1 }
        var texts: [String] = []
        for work in self {
            guard let count = counts.removeValue(forKey: work.text) else { continue }
            texts.append(count == 1 ? work.text : "\(work.text) (\(count) times)")
        }
        return texts.isEmpty ? "nothing" : texts.joined(separator: ", ")
    }
}
