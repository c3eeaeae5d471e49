import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

/// Carries out a scenario on our loop and keeps its trace. An operation is the method `perform` has a case for.
final class ScenarioRunner {
    private struct Thrown: Error {
        let text: String
    }

    private struct Mistake: Error {
        let text: String
    }

    /// Every name is a future.
    private final class Future {
        var isResolved = false
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    private let loop: EventLoop
    private let clock: VirtualClock
    private let scenario: Scenario
    private var asleep: [[Scenario.Operation]]
    private var lines: [String] = []
    private var mistake: (any Error)?
    private var ends: [String: Socket] = [:]
    private var closedEnds: Set<String> = []
    private var cancellations: [String: () -> Void] = [:]
    private var tasks: [String: Task<Void, any Error>] = [:]
    private var futures: [String: Future] = [:]

    init(_ scenario: Scenario, _ loop: EventLoop, _ clock: VirtualClock) throws {
        (self.scenario, self.loop, self.clock) = (scenario, loop, clock)
        asleep = scenario.asleep ?? []
        for pair in scenario.pairs ?? [] {
            let (a, b) = try Socket.pair()
            for (name, end) in [(pair + ".a", a), (pair + ".b", b)] {
                clock.waits.rank[end.number] = ends.count
                ends[name] = end
            }
        }
    }

    /// Leaves the loop closed.
    func trace() throws -> [String] {
        clock.waits.fellAsleep = { [unowned self] in
            if asleep.isEmpty { return false }
            perform(asleep.removeFirst(), onOtherThread: true)
            return true
        }
        clock.waits.nothingLeft = { [unowned self] in
            line("idle")
            loop.stop()
        }
        loop.setExceptionHandler { [unowned self] _, context in
            if let thrown = context.error as? Thrown { return line("error \(thrown.text)") }
            mistake = context.error ?? Mistake(text: context.message)
            loop.stop()
        }
        defer { for (name, end) in ends where !closedEnds.contains(name) { end.close() } }
        try perform(scenario.main)
        if let mistake { throw mistake }
        // Throws if a task has not ended.
        try loop.close()
        return lines
    }

    private func line(_ text: String) {
        lines.append("\(clock.waits.count) @\(clock.now.nanoseconds / 1_000_000)ms \(text)")
    }

    private func perform(_ operations: [Scenario.Operation], onOtherThread: Bool) {
        nonisolated(unsafe) let unchecked = self
        do {
            try OtherThread.run { try unchecked.perform(operations) }
        } catch {
            mistake = error
        }
    }

    private func perform(_ operations: [Scenario.Operation]) throws {
        for operation in operations { try perform(operation) }
    }

    private func end(_ operation: Scenario.Operation) throws -> Socket {
        guard let name = operation.end, let end = ends[name] else { throw Mistake(text: "no end for \(operation)") }
        return end
    }

    private func perform(_ operation: Scenario.Operation) throws {
        let id = operation.id ?? ""
        switch operation.op {
        case "callSoon", "callLater", "callAt", "callSoonThreadsafe":
            try schedule(operation, left: operation.repeat ?? 1)
        case "cancel":
            guard let cancel = cancellations[id] else { throw Mistake(text: "nothing is called \(id)") }
            cancel()
        case "stop": loop.stop()
        case "run": try run()
        case "log": line(operation.text ?? "")
        case "throw": throw Thrown(text: operation.text ?? "")
        case "advance": clock.advance(by: .milliseconds(operation.ms ?? 0))
        case "thread":
            perform(operation.do ?? [], onOtherThread: true)
        case "addReader":
            try loop.addReader(end(operation).descriptor) { [self] in
                line("reader \(id)")
                try perform(operation.do ?? [])
            }
        case "addWriter":
            try loop.addWriter(end(operation).descriptor) { [self] in
                line("writer \(id)")
                try perform(operation.do ?? [])
            }
        case "removeReader":
            line("removeReader \(operation.end ?? "") \(loop.removeReader(try end(operation).descriptor))")
        case "removeWriter":
            line("removeWriter \(operation.end ?? "") \(loop.removeWriter(try end(operation).descriptor))")
        case "createTask":
            tasks[id] = loop.createTask { [self] in
                line("task \(id)")
                for step in operation.do ?? [] { try await take(step, of: id) }
            }
        case "resolve":
            let future = future(operation)
            future.isResolved = true
            for waiter in future.waiters { waiter.resume() }
            future.waiters = []
        default: try performOnEnd(operation)
        }
    }

    /// System calls, not the loop.
    private func performOnEnd(_ operation: Scenario.Operation) throws {
        let end = try end(operation)
        switch operation.op {
        case "write":
            let bytes = Array((operation.text ?? "").utf8)
            guard case .bytes(bytes.count) = bytes.withUnsafeBytes({ end.send($0) }) else {
                throw Mistake(text: "the write was cut short")
            }
        case "read": line("read \(operation.end ?? "") \(try receive(operation) ?? "nothing")")
        case "fill":
            let zeros = [UInt8](repeating: 0, count: 65536)
            while case .bytes = zeros.withUnsafeBytes({ end.send($0) }) {}
        case "drain":
            var buffer = [UInt8](repeating: 0, count: 65536)
            while case .bytes(1...) = buffer.withUnsafeMutableBytes({ end.receive(into: $0) }) {}
        case "close":
            // At once for the peer, though a child that is being made may have a copy of the descriptor.
            try end.shutdown()
            end.close()
            closedEnds.insert(operation.end ?? "")
        default: throw Mistake(text: "no operation \(operation.op)")
        }
    }

    /// `nil` if nothing has come.
    private func receive(_ operation: Scenario.Operation) throws -> String? {
        let end = try end(operation)
        var buffer = [UInt8](repeating: 0, count: operation.max ?? 4096)
        switch buffer.withUnsafeMutableBytes({ end.receive(into: $0) }) {
        case .bytes(0): return "end"
        case .bytes(let count): return String(decoding: buffer[..<count], as: UTF8.self)
        case .wouldBlock: return nil
        case .failed(let error): throw error
        }
    }

    private func run() throws {
        if loop.isRunning {
            #expect(throws: EventLoopError.self) { try self.loop.runForever() }
            return line("run refused")
        }
        try loop.runForever()
        if let mistake { throw mistake }
        line("returned")
    }

    private func schedule(_ operation: Scenario.Operation, left: Int) throws {
        let id = operation.id ?? ""
        let kind = ["callSoon": "soon", "callSoonThreadsafe": "threadsafe"][operation.op] ?? "timer"
        nonisolated(unsafe) let body: () throws -> Void = { [self] in
            line("\(kind) \(id)")
            try perform(operation.do ?? [])
            if left > 1 { try schedule(operation, left: left - 1) }
        }
        switch operation.op {
        case "callSoon":
            let handle = loop.callSoon(body)
            cancellations[id] = { handle.cancel() }
        case "callSoonThreadsafe":
            let handle = try loop.callSoonThreadsafe(body)
            cancellations[id] = { handle.cancel() }
        case "callLater":
            let handle = loop.callLater(after: .milliseconds(operation.after ?? 0), body)
            cancellations[id] = { handle.cancel() }
        default:
            let handle = loop.callAt(LoopInstant(nanoseconds: Int64(operation.at ?? 0) * 1_000_000), body)
            cancellations[id] = { handle.cancel() }
        }
    }

    private func future(_ operation: Scenario.Operation) -> Future {
        let name = operation.future ?? ""
        if let future = futures[name] { return future }
        let future = Future()
        futures[name] = future
        return future
    }

    // MARK: Steps of tasks

    private func take(_ step: Scenario.Operation, of task: String) async throws {
        let said: String
        switch step.op {
        case "yield":
            await loop.yield()
            said = "yielded"
        case "sleep":
            try await loop.sleep(for: .milliseconds(step.ms ?? 0))
            said = "slept"
        case "await":
            let future = future(step)
            if !future.isResolved { await withUnsafeContinuation { future.waiters.append($0) } }
            said = "got \(step.future ?? "")"
        case "join":
            try await tasks[step.id ?? ""]?.value
            said = "joined \(step.id ?? "")"
        case "readable":
            try await loop.waitReadable(end(step).descriptor)
            said = "readable \(step.end ?? "")"
        case "writable":
            try await loop.waitWritable(end(step).descriptor)
            said = "writable \(step.end ?? "")"
        case "recv":
            var received = try receive(step)
            while received == nil {
                try await loop.waitReadable(end(step).descriptor)
                received = try receive(step)
            }
            said = "received \(step.end ?? "") \(received ?? "")"
        default: return try perform(step)
        }
        line("task \(task) \(said)")
    }
}
