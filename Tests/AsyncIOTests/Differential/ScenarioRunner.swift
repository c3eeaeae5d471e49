import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

/// Carries out a scenario on our loop and keeps its trace. An operation is the method `perform` has a case for.
final class ScenarioRunner {
    /// Every name is a future.
    private final class Future {
        var isResolved = false
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    let loop: EventLoop
    private let clock: VirtualClock
    private let scenario: Scenario
    private var asleep: [[Scenario.Operation]]
    private var recorded: ScenarioTrace
    private var mistake: (any Error)?
    private var ends: [String: Socket] = [:]
    private var closedEnds: Set<String> = []
    private var pipeEnds: Set<String> = []
    private var cancellations: [String: () -> Void] = [:]
    private var tasks: [String: Task<Void, any Error>] = [:]
    private var futures: [String: Future] = [:]
    /// What the operations of connections and servers know.
    var network = ScenarioNetwork()
    var objects = ScenarioObjects()

    init(_ scenario: Scenario, _ loop: EventLoop, _ clock: VirtualClock) throws {
        (self.scenario, self.loop, self.clock) = (scenario, loop, clock)
        asleep = scenario.asleep ?? []
        recorded = ScenarioTrace(byInstant: scenario.instants ?? false)
        if recorded.byInstant { clock.settlingTime = .milliseconds(5) }
        for pair in scenario.pairs ?? [] {
            let (a, b) = try Socket.pair()
            for (name, end) in [(pair + ".a", a), (pair + ".b", b)] {
                clock.waits.rank[end.number] = ends.count
                ends[name] = end
            }
        }
        for pipe in scenario.pipes ?? [] {
            var numbers: [CInt] = [-1, -1]
            try #require(numbers.withUnsafeMutableBufferPointer { aio_pipe($0.baseAddress!) } == 0)
            ends[pipe + ".r"] = Socket(number: numbers[0])
            ends[pipe + ".w"] = Socket(number: numbers[1])
            pipeEnds.formUnion([pipe + ".r", pipe + ".w"])
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
            line("idle", of: ScenarioTrace.last)
            loop.stop()
        }
        loop.setExceptionHandler { [unowned self] _, context in
            guard let error = context.error, let reason = reason(error) else {
                return failed(context.error ?? ScenarioMistake(text: context.message))
            }
            line("error \(reason)", of: reason)
        }
        defer { for (name, end) in ends where !closedEnds.contains(name) { end.close() } }
        defer { network.directory?.remove() }
        try perform(scenario.main)
        if let mistake { throw mistake }
        if !network.open.isEmpty { throw ScenarioMistake(text: "not closed: \(network.open)") }
        // Throws if a task has not ended.
        try loop.close()
        return recorded.lines
    }

    /// - Parameter actor: The object that acts. In a trace by instants, its lines stand together.
    func line(_ text: String, of actor: String = "") {
        recorded.append(text, of: actor, iteration: clock.waits.count, at: clock.now)
    }

    func line(_ text: String, of actor: String, bytes: [UInt8]) {
        recorded.append(text, of: actor, bytes: bytes, iteration: clock.waits.count, at: clock.now)
    }

    /// Ends the run because of an error that is no part of the scenario.
    func failed(_ error: any Error) {
        mistake = error
        loop.stop()
    }

    private func perform(_ operations: [Scenario.Operation], onOtherThread: Bool) {
        nonisolated(unsafe) let unchecked = self
        do {
            try OtherThread.run { try unchecked.perform(operations) }
        } catch {
            mistake = error
        }
    }

    func perform(_ operations: [Scenario.Operation]) throws {
        for operation in operations { try perform(operation) }
    }

    private func end(_ operation: Scenario.Operation) throws -> Socket {
        guard let name = operation.end, let end = ends[name] else {
            throw ScenarioMistake(text: "no end for \(operation)")
        }
        return end
    }

    /// Returns the end of that name, if there is one, which then belongs to the caller.
    func takeEnd(_ name: String) -> Socket? {
        guard let end = ends[name] else { return nil }
        closedEnds.insert(name)
        return end
    }

    private func perform(_ operation: Scenario.Operation) throws {
        let id = operation.id ?? ""
        switch operation.op {
        case "callSoon", "callLater", "callAt", "callSoonThreadsafe":
            try schedule(operation, left: operation.repeat ?? 1)
        case "cancel":
            guard let cancel = cancellations[id] else { throw ScenarioMistake(text: "nothing is called \(id)") }
            cancel()
        case "stop": loop.stop()
        case "run": try run()
        case "log": line([operation.id, operation.text].compactMap(\.self).joined(separator: " "), of: id)
        case "throw": throw ScenarioError(text: operation.text ?? "")
        case "advance": clock.advance(by: .milliseconds(operation.ms ?? 0))
        case "thread":
            perform(operation.do ?? [], onOtherThread: true)
        case "addReader":
            try loop.addReader(end(operation).descriptor) { [self] in
                line("reader \(id)", of: id)
                try perform(operation.do ?? [])
            }
        case "addWriter":
            try loop.addWriter(end(operation).descriptor) { [self] in
                line("writer \(id)", of: id)
                try perform(operation.do ?? [])
            }
        case "removeReader":
            let removed = loop.removeReader(try end(operation).descriptor)
            line("removeReader \(operation.end ?? "") \(removed)", of: operation.end ?? "")
        case "removeWriter":
            let removed = loop.removeWriter(try end(operation).descriptor)
            line("removeWriter \(operation.end ?? "") \(removed)", of: operation.end ?? "")
        case "createTask":
            tasks[id] = loop.createTask { [self] in await takeSteps(operation.do ?? [], of: id) }
        case "cancelTask": tasks[id]?.cancel()
        case "resolve":
            let future = future(operation)
            future.isResolved = true
            for waiter in future.waiters { waiter.resume() }
            future.waiters = []
        default:
            if try performOnDatagrams(operation) || performOnTransport(operation) || performOnObject(operation) {
                return
            }
            try performOnEnd(operation)
        }
    }

    /// System calls, not the loop.
    private func performOnEnd(_ operation: Scenario.Operation) throws {
        let end = try end(operation)
        switch operation.op {
        case "write":
            let bytes = Array((operation.text ?? "").utf8)
            let isPipe = pipeEnds.contains(operation.end ?? "")
            let result = try bytes.withUnsafeBytes { bytes in
                isPipe ? .bytes(try end.descriptor.write(bytes)) : end.send(bytes)
            }
            guard case .bytes(bytes.count) = result else {
                throw ScenarioMistake(text: "the write was cut short")
            }
        case "read":
            let name = operation.end ?? ""
            do {
                line("read \(name) \(try receive(operation) ?? "nothing")", of: name)
            } catch {
                line("read \(name) failed: \(reason(error) ?? "\(error)")", of: name)
            }
        case "fill":
            let zeros = [UInt8](repeating: 0, count: 65536)
            while case .bytes = zeros.withUnsafeBytes({ end.send($0) }) {}
        case "drain":
            var buffer = [UInt8](repeating: 0, count: 65536)
            while case .bytes(1...) = buffer.withUnsafeMutableBytes({ end.receive(into: $0) }) {}
        case "shutdown": try end.shutdownWrite()
        case "close":
            // At once for the peer, though a child that is being made may have a copy of the descriptor.
            if !pipeEnds.contains(operation.end ?? "") { try end.shutdown() }
            end.close()
            closedEnds.insert(operation.end ?? "")
        default: throw ScenarioMistake(text: "no operation \(operation.op)")
        }
    }

    /// `nil` if nothing has come.
    private func receive(_ operation: Scenario.Operation) throws -> String? {
        let end = try end(operation)
        var buffer = [UInt8](repeating: 0, count: operation.max ?? 4096)
        let isPipe = pipeEnds.contains(operation.end ?? "")
        let result = try buffer.withUnsafeMutableBytes { memory in
            isPipe ? .bytes(try end.descriptor.read(into: memory)) : end.receive(into: memory)
        }
        switch result {
        case .bytes(let count): return ScenarioTrace.show(buffer[..<count])
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
        line("returned", of: ScenarioTrace.last)
    }

    private func schedule(_ operation: Scenario.Operation, left: Int) throws {
        let id = operation.id ?? ""
        let kind = ["callSoon": "soon", "callSoonThreadsafe": "threadsafe"][operation.op] ?? "timer"
        nonisolated(unsafe) let body: () throws -> Void = { [self] in
            line("\(kind) \(id)", of: id)
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

    func takeSteps(_ steps: [Scenario.Operation], of task: String) async {
        line("task \(task)", of: task)
        for step in steps {
            do {
                guard let said = try await take(step) else { continue }
                line("task \(task) \(said)", of: task)
            } catch {
                guard let reason = reason(error) else { return failed(error) }
                line("task \(task) failed: \(reason)", of: task)
            }
        }
    }

    private func take(_ step: Scenario.Operation) async throws -> String? {
        guard let limit = step.within else { return try await take(unlimited: step) }
        return try await withTimeout(.milliseconds(limit)) { try await self.take(unlimited: step) }
    }

    /// Returns what the task prints, `nil` for an operation that is not a step.
    private func take(unlimited step: Scenario.Operation) async throws -> String? {
        switch step.op {
        case "yield":
            await loop.yield()
            return "yielded"
        case "sleep":
            try await loop.sleep(for: .milliseconds(step.ms ?? 0))
            return "slept"
        case "await":
            let future = future(step)
            if !future.isResolved { await withUnsafeContinuation { future.waiters.append($0) } }
            return "got \(step.future ?? "")"
        case "join":
            try await tasks[step.id ?? ""]?.value
            return "joined \(step.id ?? "")"
        case "readable":
            try await loop.waitReadable(end(step).descriptor)
            return "readable \(step.end ?? "")"
        case "writable":
            try await loop.waitWritable(end(step).descriptor)
            return "writable \(step.end ?? "")"
        case "recv":
            var received = try receive(step)
            while received == nil {
                try await loop.waitReadable(end(step).descriptor)
                received = try receive(step)
            }
            return "received \(step.end ?? "") \(received ?? "")"
        default:
            if let said = try await takeOnNetwork(step) { return said }
            if let said = try await takeOnStream(step) { return said }
            if let said = try await takeOnDatagrams(step) { return said }
            if let said = try await takeOnObject(step) { return said }
            try perform(step)
            return nil
        }
    }
}
