import AsyncIO
import Foundation

/// Runs commands at intervals that a table defines: `Cron TABLE`.
///
/// Each line of the table contains a number of seconds and a command. SIGHUP reloads the table. SIGTERM and Ctrl-C shut
/// the daemon down: it starts nothing more, and gives the running commands five seconds.
@main struct Cron: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let cron = Daemon(loop: loop, table: CommandLine.arguments.dropFirst().first ?? "crontab")
        let signals = try loop.signals([.hangup, .interrupt, .terminate])
        try cron.load()
        for await signal in signals {
            guard signal == .hangup else { break }
            do {
                try cron.load()
            } catch {
                print("the table is as before: \(error)")
            }
        }
        await cron.end(within: .seconds(5))
    }
}

/// The state of the daemon. Only the loop's thread uses it.
final class Daemon {
    private let loop: EventLoop
    private let table: String
    private var timers: [RepeatingTimer] = []
    private var running: [String: Process] = [:]
    /// Set while the daemon waits for its last command to end.
    private var lastCommandEnded: Future<Void>?

    init(loop: EventLoop, table: String) {
        self.loop = loop
        self.table = table
    }

    /// Replaces the timers by those of the table. If the table has a mistake, the old timers remain.
    func load() throws {
        let jobs = try String(contentsOfFile: table, encoding: .utf8).split(separator: "\n").map(Job.init)
        for timer in timers { timer.cancel() }
        // The intervals do not drift, however late a call runs.
        timers = jobs.map { job in loop.callRepeatedly(every: job.interval) { _ in try self.start(job.command) } }
        print("\(jobs.count) jobs")
    }

    private func start(_ command: String) throws {
        guard running[command] == nil else { return print("still running: \(command)") }
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        // Foundation calls the handler on another thread. A promise takes the status to the loop's thread.
        let status = loop.createFuture(of: Int32.self)
        let promise = status.makePromise()
        process.terminationHandler = { try? promise.setResult($0.terminationStatus) }
        try process.run()
        running[command] = process
        status.addDoneCallback { status in self.ended(command, try status.result()) }
    }

    private func ended(_ command: String, _ status: Int32) {
        running[command] = nil
        if status != 0 { print("status \(status): \(command)") }
        if running.isEmpty { try? lastCommandEnded?.setResult(()) }
    }

    /// Starts nothing more, waits for the running commands, and terminates those that take too long.
    func end(within time: Duration) async {
        for timer in timers { timer.cancel() }
        if running.isEmpty { return }
        print("waiting for \(running.count) commands")
        let ended = loop.createFuture(of: Void.self)
        lastCommandEnded = ended
        do {
            try await withTimeout(time) { try await ended.value }
        } catch {
            for process in running.values { process.terminate() }
        }
    }
}

struct Job {
    var interval: Duration
    var command: String

    init(_ line: Substring) throws {
        let parts = line.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let seconds = Double(parts[0]), seconds > 0 else { throw Mistake(line: line) }
        interval = .seconds(seconds)
        command = String(parts[1])
    }

    struct Mistake: Error, CustomStringConvertible {
        var line: Substring
        var description: String { "a line is not a number of seconds and a command: \(line)" }
    }
}
