public import AsyncIO

/// Runs the stream checks of this module on loops that `makeLoop` creates, and throws a ``LoopCheckFailure`` for the
/// first check that fails.
///
/// They show that a selector, a proactor or a filter of another package works with servers and connections:
///
/// ```swift
/// try await checkStreams({ try SelectorEventLoop(selector: MySelector()) })
/// try await checkStreams({ try LoopKind.auto.makeLoop() }, filter: { MyFilter() })
/// ```
///
/// The checks cover the echo of small and of large messages by protocols and by streams, half-close and EOF,
/// back-pressure, cancellation, a close during a write, peers that disappear, refused connections, and many
/// connections at the same time. Each of them runs on a loop of its own, in real time over TCP on 127.0.0.1, and as
/// `withLoop` does it proves that nothing was left behind.
///
/// - Parameters:
///   - filter: Creates the filter of each end of each connection, or is `nil` for connections without one. Two filters
///     of one connection have to understand each other.
///   - options: The time limit and the expectations of each check. The check fails when an event is lost, because it
///     takes longer than the limit then.
/// - Thread: any.
public func checkStreams(
    _ makeLoop: @escaping @Sendable () throws -> EventLoop, filter: (@Sendable () -> any StreamFilter)? = nil,
    _ options: LoopTestOptions = LoopTestOptions()
) async throws {
    try await run(StreamChecks(makeFilter: filter).all, makeLoop, options)
}

/// Runs the watcher checks of this module on loops that `makeLoop` creates, and throws a ``LoopCheckFailure`` for the
/// first check that fails.
///
/// The checks cover readers and writers, their replacement and removal, tasks that wait for a descriptor and their
/// cancellation, hang-ups, a number that another file gets, files that cannot be watched, and wake-ups by other
/// threads. Everything else is as in ``checkStreams(_:filter:_:)``.
///
/// - Thread: any.
public func checkWatchers(
    _ makeLoop: @escaping @Sendable () throws -> EventLoop, _ options: LoopTestOptions = LoopTestOptions()
) async throws {
    try await run(WatcherChecks().all, makeLoop, options)
}

/// A check of ``checkStreams(_:filter:_:)`` or ``checkWatchers(_:_:)`` that failed.
public struct LoopCheckFailure: Error, Sendable, CustomStringConvertible {
    /// The name of the check, such as `half-close`.
    public var check: String
    /// Why it failed: a ``LoopTestFailure`` if the time limit expired or something was left behind, the error of an
    /// operation that should not fail, or an error that describes the expectation.
    public var cause: any Error

    public var description: String { "the check \"\(check)\" failed: \(cause)" }
}

/// A body that throws if a loop does not work.
struct LoopCheck: Sendable {
    let name: String
    let body: @Sendable (EventLoop) async throws -> Void

    init(_ name: String, _ body: @escaping @Sendable (EventLoop) async throws -> Void) {
        self.name = name
        self.body = body
    }
}

/// An expectation of a check that was not met.
struct UnmetExpectation: Error, CustomStringConvertible {
    let expectation: String

    var description: String { "expected \(expectation)" }
}

/// Throws unless `condition` is true. `expectation` is the object of a sentence that begins with "expected".
func expect(_ condition: Bool, _ expectation: @autoclosure () -> String) throws {
    if !condition { throw UnmetExpectation(expectation: expectation()) }
}

/// Runs `body` and throws unless it throws an error for which `isExpected` returns true.
func expectError(
    _ expectation: String, _ isExpected: (any Error) -> Bool, from body: () async throws -> Void
) async throws {
    do {
        try await body()
    } catch {
        return try expect(isExpected(error), "\(expectation) instead of the error: \(error)")
    }
    throw UnmetExpectation(expectation: "\(expectation) instead of success")
}

private func run(
    _ checks: [LoopCheck], _ makeLoop: @escaping @Sendable () throws -> EventLoop, _ options: LoopTestOptions
) async throws {
    for check in checks {
        do {
            try await withLoop(makeLoop: makeLoop, options) { loop in try await check.body(loop) }
        } catch {
            throw LoopCheckFailure(check: check.name, cause: error)
        }
    }
}
