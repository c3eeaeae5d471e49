import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import Selectors
import SystemPackage
import Testing

/// The statements of the specification, "18.5.2. Event loops", in its order. `Tests/Specification.md` lists every
/// statement with its test. Statements that need the main thread are tested in `Tests/UserPackages/Sources/policies`.
///
/// Tests that set the process's policy run in separate processes, because other tests use the policy meanwhile.
struct SpecificationTests {
    // MARK: 18.5.2.1 Event loop functions

    // specification: 18.5.2.1 shortcuts to the methods of the global policy
    @Test(.startsProcess) func moduleFunctionsCallTheMethodsOfThePolicy() async {
        await #expect(processExitsWith: .success) {
            let policy = RecordingPolicy()
            try await withPolicy(policy) {
                let loop = try newEventLoop()
                setEventLoop(loop)
                let current = try getEventLoop()
                #expect(current === loop)
                setEventLoop(nil)
                #expect(policy.calls == ["new", "set loop", "get", "set nil"])
                try loop.close()
            }
        }
    }

    // specification: 18.5.2.1 the default policy, unless an alternative policy was set
    @Test func moduleFunctionsUseTheDefaultPolicyIfNoneIsSet() async throws {
        #expect(type(of: getEventLoopPolicy()) == DefaultEventLoopPolicy.self)
        try await withLoopThread { loop in
            setEventLoop(loop)
            let ofPolicy = try getEventLoopPolicy().getEventLoop()
            #expect(ofPolicy === loop)
            setEventLoop(nil)
        }
    }

    // MARK: 18.5.2.2 Available event loops

    // specification: 18.5.2.2 SelectorEventLoop and ProactorEventLoop, subclasses of the abstract loop
    @Test func bothImplementationsAreEventLoops() throws {
        let types: [EventLoop.Type] = [SelectorEventLoop.self, ProactorEventLoop.self]
        #expect(types.map { "\($0)" } == ["SelectorEventLoop", "ProactorEventLoop"])
        for kind in LoopKind.available {
            let loop = try kind.makeLoop()
            #expect(loop is SelectorEventLoop || loop is ProactorEventLoop)
            try loop.close()
        }
    }

    // specification: 18.5.2.2 use the most efficient selector available on the platform
    // covers: 98
    @Test func selectorLoopUsesTheMostEfficientSelector() throws {
        let best = try #require(LoopKind.available.first { [.epoll, .kqueue, .poll, .select].contains($0) })
        let loop = try SelectorEventLoop()
        #expect(loop.backendName == best.rawValue)
        try loop.close()
    }

    // specification: 18.5.2.2 the example with a ProactorEventLoop
    // covers: 98
    @Test func proactorLoopIsCreatedAndSetOrRejectedWithAMessage() async throws {
        try await withLoopThread { _ in
            do {
                let loop = try DefaultEventLoopPolicy.proactor.newEventLoop()
                setEventLoop(loop)
                #expect(loop is ProactorEventLoop)
                let current = try getEventLoop()
                #expect(current === loop)
                setEventLoop(nil)
                try loop.close()
            } catch let error as EventLoopError {
                #expect(error.code == .unsupported)
                #expect(error.description.contains("is not available"))
            }
            // With a custom proactor it works on every system.
            let scripted = try ProactorEventLoop(proactor: ScriptedProactor(clock: VirtualClock()))
            setEventLoop(scripted)
            let current = try getEventLoop()
            #expect(current === scripted)
            setEventLoop(nil)
            try scripted.close()
        }
    }

    // MARK: 18.5.2.3 Platform support

    // specification: 18.5.2.3.2 the example with a selector of one's choice
    @Test func loopCanUseAChosenSelector() async throws {
        try await withLoopThread { _ in
            let selector = SelectSelector()
            let loop = try SelectorEventLoop(selector: selector)
            setEventLoop(loop)
            let current = try getEventLoop()
            #expect(current === loop && loop.backendName == "select")
            let value = try loop.runUntilComplete { 42 }
            #expect(value == 42)
            setEventLoop(nil)
            try loop.close()
        }
    }

    // specification: 18.5.2.3.2 character devices, with SelectSelector, PollSelector and the default selector
    @Test(arguments: TestLoop.all)
    func loopWatchesATerminal(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (master, terminal) = try pseudoTerminal()
            #expect(isatty(terminal.rawValue) == 1)
            _ = try terminal.writeAll("x".utf8)
            try await loop.waitReadable(master)
            try await loop.waitWritable(terminal)
            var byte: UInt8 = 0
            let count = try withUnsafeMutableBytes(of: &byte) { try master.read(into: $0) }
            #expect(count == 1 && byte == UInt8(ascii: "x"))
            try terminal.close()
            try master.close()
        }
    }

    // MARK: 18.5.2.4 Event loop policies and the default policy

    // specification: 18.5.2.4 a single global policy object
    @Test(.startsProcess) func policyIsTheSameOnEveryThread() async {
        await #expect(processExitsWith: .success) {
            let policy = RecordingPolicy()
            try await withPolicy(policy) {
                let isSame = try OtherThread.run { getEventLoopPolicy() === policy }
                #expect(isSame)
                #expect(getEventLoopPolicy() === policy)
            }
        }
    }

    // specification: 18.5.2.4 a policy is an object that implements the interface
    @Test(.startsProcess) func policyNeedNotDeriveFromTheDefaultPolicy() async {
        await #expect(processExitsWith: .success) {
            let policy = OneLoopForAll()
            try await withPolicy(policy) {
                let loop = try newEventLoop()
                setEventLoop(loop)
                // Its context is the process, not the thread.
                let ofAnother = try OtherThread.run { try getEventLoop() === loop }
                #expect(ofAnother)
                setEventLoop(nil)
                #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
                try loop.close()
                let value = try run { 42 }
                #expect(value == 42)
            }
        }
    }

    // specification: 18.5.2.4 loops already made live on
    // covers: 96
    @Test(.startsProcess) func loopsOfAFormerPolicyRemainUsable() async {
        await #expect(processExitsWith: .success) {
            try await withLoopThread { _ in
                let policy = RecordingPolicy()
                setEventLoopPolicy(policy)
                let loop = try newEventLoop()
                setEventLoop(loop)
                setEventLoopPolicy(nil)
                #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
                let value = try loop.runUntilComplete { 42 }
                #expect(value == 42)
                let ofFormer = try policy.getEventLoop()
                #expect(ofFormer === loop)
                policy.setEventLoop(nil)
                try loop.close()
            }
        }
    }

    // MARK: 18.5.2.5 Event loop policy interface

    // specification: 18.5.2.5 called from a coroutine, it returns the currently running event loop
    // covers: 95
    @Test(.startsProcess) func getEventLoopReturnsTheRunningLoopWithoutAskingThePolicy() async {
        await #expect(processExitsWith: .success) {
            for kind in TestLoop.all {
                let policy = RecordingPolicy()
                setEventLoopPolicy(policy)
                try await withLoop(kind) { loop in
                    let ofMainTask = try getEventLoop()
                    #expect(ofMainTask === loop)
                    let ofTask = try await loop.createTask { try getEventLoop() === loop }.value
                    #expect(ofTask)
                    nonisolated(unsafe) var ofCallback: EventLoop?
                    loop.callSoon { ofCallback = try getEventLoop() }
                    await loop.yield()
                    await loop.yield()
                    #expect(ofCallback === loop)
                    ofCallback = nil
                    #expect(policy.calls == [])
                    // The policy's own method returns what was set, and ignores the running loop.
                    #expect(code { _ = try policy.getEventLoop() } == .noCurrentLoop)
                }
            }
        }
    }

    // specification: 18.5.2.5 set_event_loop(loop): for the current context
    @Test func setEventLoopAppliesToTheCallingThreadAndLeavesTheFormerLoopOpen() async throws {
        try await withLoopThread { _ in
            let loops = try (0..<2).map { _ in try newEventLoop() }
            for loop in loops {
                setEventLoop(loop)
                let current = try getEventLoop()
                #expect(current === loop)
            }
            #expect(!loops[0].isClosed)
            let ofAnother = try OtherThread.run { code { _ = try getEventLoop() } }
            #expect(ofAnother == .noCurrentLoop)
            setEventLoop(nil)
            for loop in loops { try loop.close() }
        }
    }

    // specification: 18.5.2.5 new_event_loop(): according to this policy's rules
    // covers: 93, 98
    @Test(arguments: LoopKind.available)
    func policyOfAKindCreatesLoopsOfThatKind(kind: LoopKind) async throws {
        try await withLoopThread { _ in
            let policy = DefaultEventLoopPolicy(loopFactory: { try kind.makeLoop() })
            let loops = try (0..<2).map { _ in try policy.newEventLoop() }
            #expect(loops[0] !== loops[1])
            #expect(loops.allSatisfy { $0.backendName == kind.rawValue && !$0.isClosed && !$0.isRunning })
            #expect(code { _ = try policy.getEventLoop() } == .noCurrentLoop)
            for loop in loops { try loop.close() }
        }
    }

    // specification: 18.5.2.5 an event loop per thread that interacts with asyncio, RuntimeError otherwise
    // covers: 92
    @Test func getEventLoopNamesTheThreadThatHasNoLoop() async throws {
        try await withLoopThread { _ in
            for policy in [DefaultEventLoopPolicy(), StrictEventLoopPolicy(), .selector] {
                let error = #expect(throws: EventLoopError.self) { try policy.getEventLoop() }
                #expect(error?.code == .noCurrentLoop)
                #expect(error?.description.contains("in thread 'asyncio-test-") == true)
                let loop = try policy.newEventLoop()
                policy.setEventLoop(loop)
                let current = try policy.getEventLoop()
                #expect(current === loop)
                policy.setEventLoop(nil)
                try loop.close()
            }
        }
    }

    // specification: 18.5.2.5 the default policy's rule; asyncio: get_running_loop in a forked child
    @Test(.startsProcess) func forkedChildHasNoRunningLoop() async throws {
        try await withLoopThread { loop in
            loop.callSoon {
                let child = forkedChild { runningLoop == nil }
                #expect(runningLoop === loop)
                var status: CInt = -1
                #expect(waitpid(child, &status, 0) == child)
                #expect(status == 0)
                loop.stop()
            }
            try loop.runForever()
        }
    }

    // MARK: 18.5.2.7 Customizing the event loop policy

    // specification: 18.5.2.7 the example, on a thread with a loop
    @Test(.startsProcess) func subclassOfTheExampleCallsItsSuperclass() async {
        await #expect(processExitsWith: .success) {
            final class MyEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
                nonisolated(unsafe) var seen: [ObjectIdentifier] = []

                override func getEventLoop() throws -> EventLoop {
                    let loop = try super.getEventLoop()
                    seen.append(ObjectIdentifier(loop))
                    return loop
                }
            }
            let policy = MyEventLoopPolicy()
            try await withPolicy(policy) {
                #expect(code { _ = try getEventLoop() } == .noCurrentLoop)
                let loop = try newEventLoop()
                setEventLoop(loop)
                let current = try getEventLoop()
                #expect(current === loop)
                #expect(policy.seen == [ObjectIdentifier(loop)])
                setEventLoop(nil)
                try loop.close()
            }
        }
    }

    // MARK: The list

    @Test func everyTestInTheListExists() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let list = try String(contentsOf: tests.appending(path: "Specification.md"), encoding: .utf8)
        let files = try #require(FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil))
        var sources = ""
        for case let file as URL in files where file.pathExtension == "swift" && !file.path.contains("/.build/") {
            sources += try String(contentsOf: file, encoding: .utf8)
        }
        var named = 0
        for row in list.split(separator: "\n") where row.hasPrefix("| 18.") {
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(cells.count == 2, "\(row)")
            for (index, name) in cells[1].split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where index % 2 == 1 {
                let exists =
                    name.contains("/")
                    ? FileManager.default.fileExists(atPath: tests.appending(path: String(name)).path)
                    : sources.contains("func \(name)(")
                #expect(exists, "there is no \(name)")
                named += 1
            }
        }
        #expect(named >= 20)
    }
}

/// Calls `body` on a separate thread while `policy` is the process's policy.
private func withPolicy(_ policy: any EventLoopPolicy, _ body: sending @escaping () throws -> Void) async throws {
    try await withLoopThread { _ in
        setEventLoopPolicy(policy)
        defer { setEventLoopPolicy(nil) }
        try body()
    }
}

/// The default policy, which records its calls. For one thread.
private final class RecordingPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    nonisolated(unsafe) private(set) var calls: [String] = []

    override func getEventLoop() throws -> EventLoop {
        let loop = try super.getEventLoop()
        calls.append("get")
        return loop
    }

    override func setEventLoop(_ loop: EventLoop?) {
        super.setEventLoop(loop)
        calls.append(loop == nil ? "set nil" : "set loop")
    }

    override func newEventLoop() throws -> EventLoop {
        calls.append("new")
        return try super.newEventLoop()
    }
}

/// A policy with another kind of context.
private final class OneLoopForAll: EventLoopPolicy {
    private let lock = NSLock()
    private nonisolated(unsafe) var loop: EventLoop?

    func getEventLoop() throws -> EventLoop {
        guard let loop = lock.withLock({ loop }) else { throw EventLoopError(.noCurrentLoop, "there is none") }
        return loop
    }

    func setEventLoop(_ loop: EventLoop?) {
        lock.withLock { self.loop = loop }
    }

    func newEventLoop() throws -> EventLoop { try LoopKind.auto.makeLoop() }
}

/// Opens a pseudo terminal. The function for it is in a header that is not imported.
private func pseudoTerminal() throws -> (master: FileDescriptor, terminal: FileDescriptor) {
    typealias Open =
        @convention(c) (
            UnsafeMutablePointer<CInt>, UnsafeMutablePointer<CInt>, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
            UnsafeMutableRawPointer?
        ) -> CInt
    let openTerminal = unsafeBitCast(try #require(dlsym(nil, "openpty")), to: Open.self)
    var ends: (CInt, CInt) = (-1, -1)
    try #require(openTerminal(&ends.0, &ends.1, nil, nil, nil) == 0)
    return (FileDescriptor(rawValue: ends.0), FileDescriptor(rawValue: ends.1))
}

/// Forks this process. The copy ends with status 0 if `body` returns true. It has only this thread, so `body` must need
/// no lock that another thread may hold, and no memory. Swift's own name for the call is unavailable.
private func forkedChild(_ body: () -> Bool) -> pid_t {
    typealias Fork = @convention(c) () -> pid_t
    let fork = unsafeBitCast(dlsym(nil, "fork"), to: Fork.self)
    // Called once before, so that the child need not look up anything: another thread may hold the runtime's locks.
    _ = body()
    let child = fork()
    if child == 0 { _exit(body() ? 0 : 1) }
    return child
}
