import AsyncIO
import AsyncIOSystem
import Proactors
import Selectors
import SystemPackage
import Testing

@testable import AsyncIOTesting

/// The checks for back ends of other packages: they pass on every loop of this one, and they find faults.
struct LoopChecksTests {
    /// The limit for a loop that loses events. A check that it passes takes a few milliseconds.
    private static let impatiently = LoopTestOptions(timeLimit: .seconds(2))

    @Test(arguments: TestLoop.all)
    func everyLoopPassesTheStreamChecks(kind: TestLoop) async throws {
        try await checkStreams({ try kind.makeLoop() }, patiently)
    }

    @Test(arguments: TestLoop.all)
    func everyLoopPassesTheStreamChecksWithAFilter(kind: TestLoop) async throws {
        try await checkStreams({ try kind.makeLoop() }, filter: { PassThroughFilter() }, patiently)
    }

    @Test(arguments: TestLoop.all)
    func everyLoopPassesTheWatcherChecks(kind: TestLoop) async throws {
        try await checkWatchers({ try kind.makeLoop() }, patiently)
    }

    @Test func filterThatSplitsBytesPassesTheStreamChecks() async throws {
        try await checkStreams({ try LoopKind.auto.makeLoop() }, filter: { SplittingFilter(seed: 5) }, patiently)
    }

    @Test func streamChecksFindASelectorThatLosesEveryTenthEvent() async throws {
        let base = try DefaultSelector.make()
        defer { base.close() }
        // Level-triggered, a lost event is reported again.
        try #require(base.supportsEdgeTrigger)
        let failure = await #expect(throws: LoopCheckFailure.self) {
            try await checkStreams(
                { try SelectorEventLoop(selector: LossySelector(DefaultSelector.make())) }, Self.impatiently)
        }
        #expect(failure?.check == "echo of small messages by streams")
        let cause = "\(failure?.cause, default: "none")"
        #expect(cause.contains("takes longer"))
    }

    @Test func streamChecksFindAProactorThatLosesEveryTenthCompletion() async throws {
        let failure = await #expect(throws: LoopCheckFailure.self) {
            try await checkStreams({ try ProactorEventLoop(proactor: LossyProactor()) }, Self.impatiently)
        }
        #expect(failure?.check == "echo of small messages by streams")
    }

    @Test func streamChecksFindAFilterThatChangesABytePerKibibyte() async throws {
        let failure = await #expect(throws: LoopCheckFailure.self) {
            try await checkStreams(
                { try LoopKind.auto.makeLoop() }, filter: { CorruptingFilter() }, patiently)
        }
        #expect(failure?.cause is UnmetExpectation)
        let beginning = "the check \"echo of small messages by streams\" failed: expected an echo of "
        #expect(failure?.description.hasPrefix(beginning) == true)
    }

    @Test func watcherChecksFindASelectorThatIgnoresChanges() async throws {
        let failure = await #expect(throws: LoopCheckFailure.self) {
            try await checkWatchers(
                { try SelectorEventLoop(selector: LossySelector(DefaultSelector.make(), ignoresChanges: true)) },
                patiently)
        }
        #expect(failure?.cause is UnmetExpectation)
        #expect(failure?.check == "a reader and a writer of one descriptor")
    }
}

/// Loses every tenth event, or ignores changes.
private final class LossySelector: BaseSelector {
    private let base: any BaseSelector
    private let ignoresChanges: Bool
    private var count = 0

    init(_ base: any BaseSelector, ignoresChanges: Bool = false) {
        self.base = base
        self.ignoresChanges = ignoresChanges
    }

    var supportsEdgeTrigger: Bool { base.supportsEdgeTrigger }

    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        try base.register(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        if ignoresChanges { return }
        try base.modify(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) { try base.unregister(descriptor) }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        try base.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
        if ignoresChanges { return }
        events = events.filter { _ in
            count += 1
            return count % 10 != 0
        }
    }

    func close() { base.close() }
}

/// Loses every tenth completion.
private final class LossyProactor: BaseProactor {
    private let base = ScriptedProactor(clock: nil)
    private var count = 0

    var buffers: BufferPool {
        get { base.buffers }
        set { base.buffers = newValue }
    }

    func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        try base.submit(operation, token: token)
    }

    func cancel(_ kind: ProactorOperation.Kind, token: UInt64) { base.cancel(kind, token: token) }

    func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        try base.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
        events = events.filter { event in
            count += 1
            if count % 10 != 0 { return true }
            if let buffer = event.buffer { buffers.put(buffer.memory, buffer.size) }
            return false
        }
    }

    func close() { base.close() }
}

/// Changes one byte of each KiB that it decodes.
private final class CorruptingFilter: StreamFilter {
    private var count = 0

    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult {
        let fitting = min(input.byteCount, output.freeCapacity)
        for offset in 0..<fitting {
            let byte = input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            count += 1
            output.append(count % 1024 == 0 ? byte &+ 1 : byte)
        }
        return StreamFilterResult(consumedBytes: fitting, needsRoom: fitting < input.byteCount)
    }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        output.append(asMuchAsFitsOf: input)
    }
}
