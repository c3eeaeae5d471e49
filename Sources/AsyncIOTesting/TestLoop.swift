public import AsyncIO
import CAsyncIO
package import Proactors

/// A loop that a test runs on, as the argument of the test.
///
/// ```swift
/// @Test(arguments: TestLoop.all)
/// func sleeps(kind: TestLoop) async throws {
///     try await withLoop(kind) { loop in try await loop.sleep(for: .milliseconds(1)) }
/// }
/// ```
///
/// All of them use real descriptors, in real time or in virtual time. So a test that holds on each of ``all`` depends
/// neither on a back end nor on whether the loop waits for readiness or for completions.
public struct TestLoop: Sendable {
    /// The name in the titles of tests. Two values with the same name are equal.
    public let name: String
    private let create: @Sendable (VirtualClock?) throws -> EventLoop

    /// Creates an argument that stands for a back end of another package.
    ///
    /// - Parameter makeLoop: Creates a loop. The loop reads the clock and advances it instead of waiting for timers;
    ///   without a clock, it waits in real time.
    public init(_ name: String, makeLoop: @escaping @Sendable (VirtualClock?) throws -> EventLoop) {
        self.name = name
        create = makeLoop
    }

    /// Creates an argument that stands for the loops of a kind.
    public init(_ kind: LoopKind) {
        self.init(kind.rawValue) { clock in
            switch try kind.makeBackEnd() {
            case .selector(let selector):
                let waiting = clock.map { VirtualTimeSelector(selector, clock: $0) }
                return try SelectorEventLoop(selector: waiting ?? selector, clock: clock ?? .system)
            case .proactor(let proactor):
                return try Self.makeLoop(proactor, clock: clock)
            }
        }
    }

    /// Creates a loop over a proactor, whose system calls a test may replace.
    package static func makeLoop(_ proactor: any BaseProactor, clock: VirtualClock?) throws -> EventLoop {
        let waiting = clock.map { VirtualTimeProactor(proactor, clock: $0) }
        return try ProactorEventLoop(
            proactor: ReplaceableCallsProactor(waiting ?? proactor), clock: clock ?? .system)
    }

    /// Creates a loop: in virtual time on `clock`, or in real time.
    public func makeLoop(clock: VirtualClock? = nil) throws -> EventLoop {
        try create(clock)
    }

    /// The loops that the environment variable names; all, if it is not set.
    private static func chosen<Loop>(_ loops: [Loop], name: (Loop) -> String) -> [Loop] {
        guard let value = aio_environment_value("ASYNCIO_TEST_LOOPS") else { return loops }
        let names = String(cString: value).split(separator: ",")
        return loops.filter { names.contains(Substring(name($0))) }
    }

    /// The kinds of loops of this system; only those in the environment variable, if it is set.
    package static let kinds = chosen(LoopKind.available) { $0.rawValue }

    /// The loops of this system, then a loop over a ``ScriptedSelector`` and one over a ``ScriptedProactor``.
    ///
    /// On a slow system, the environment variable `ASYNCIO_TEST_LOOPS` leaves out all loops but those that it names, as
    /// in `ASYNCIO_TEST_LOOPS="epoll,scripted proactor"`.
    public static let all = chosen(
        LoopKind.available.map { TestLoop($0) } + [.scriptedSelector, .scriptedProactor], name: \.name)

    /// ``all``, then the loops over epoll or kqueue, over io_uring and over a ``ScriptedProactor``, all with a
    /// ``PassThroughFilter`` in every connection.
    public static let allAndFiltered =
        all + all.filter { ![TestLoop(.poll), TestLoop(.select), scriptedSelector].contains($0) }.map(\.filtered)

    /// The same loop with a ``PassThroughFilter`` in every connection.
    public var filtered: TestLoop {
        TestLoop("\(name), filtered") { [create] clock in
            let loop = try create(clock)
            loop.filterConnections { PassThroughFilter() }
            return loop
        }
    }

    /// A `SelectorEventLoop` over a ``ScriptedSelector`` that watches real descriptors.
    public static let scriptedSelector = TestLoop("scripted selector") { clock in
        let selector = ScriptedSelector(clock: clock)
        selector.watchesRealDescriptors = true
        return try SelectorEventLoop(selector: selector, clock: clock ?? .system)
    }

    /// A `ProactorEventLoop` over a ``ScriptedProactor`` that carries out its operations.
    public static let scriptedProactor = TestLoop("scripted proactor") { clock in
        try ProactorEventLoop(proactor: ScriptedProactor(clock: clock), clock: clock ?? .system)
    }
}

extension TestLoop: Hashable {
    public static func == (one: TestLoop, other: TestLoop) -> Bool { one.name == other.name }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
    }
}

extension TestLoop: CustomStringConvertible {
    /// The name.
    public var description: String { name }
}

/// Runs a test's `body` as a task of a new loop. Everything is as in `withLoop` with a kind.
public func withLoop<Value: Sendable>(
    _ kind: TestLoop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (EventLoop) async throws -> Value
) async throws -> Value {
    try await withLoop(makeLoop: { try kind.makeLoop() }, options, body)
}

/// Calls a test's `body` with a new loop, on a separate thread. Everything is as in `withLoopThread` with a kind.
public func withLoopThread<Value: Sendable>(
    _ kind: TestLoop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (EventLoop) throws -> Value
) async throws -> Value {
    try await withLoopThread(makeLoop: { try kind.makeLoop() }, options, body)
}

/// Runs a test's `body` in virtual time. Everything is as in `withVirtualTimeLoop` with a kind.
public func withVirtualTimeLoop<Value: Sendable>(
    _ kind: TestLoop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (EventLoop, VirtualClock) async throws -> Value
) async throws -> Value {
    let clock = VirtualClock()
    let makeLoop = { try kind.makeLoop(clock: clock) }
    return try await withLoop(makeLoop: makeLoop, options) { loop in try await body(loop, clock) }
}

/// Calls a test's `body` with a loop in virtual time. Everything is as in `withVirtualTimeLoopThread` with a kind.
public func withVirtualTimeLoopThread<Value: Sendable>(
    _ kind: TestLoop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (EventLoop, VirtualClock) throws -> Value
) async throws -> Value {
    let clock = VirtualClock()
    let makeLoop: @Sendable () throws -> EventLoop = { try kind.makeLoop(clock: clock) }
    return try await withLoopThread(makeLoop: makeLoop, options) { loop in try body(loop, clock) }
}
