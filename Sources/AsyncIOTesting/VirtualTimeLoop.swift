public import AsyncIO

/// An event loop over real sockets whose time passes only when it has nothing else to do.
///
/// A sleep of an hour returns as soon as nothing is ready, and the loop's clock has advanced by an hour. Sockets,
/// signals and callbacks from other threads are real. See `withVirtualTimeLoop` for the consequences in a test.
///
/// - Thread: the loop's, as for every loop.
public final class VirtualTimeLoop: SelectorEventLoop, @unchecked Sendable {
    /// The loop's clock, which a test may advance too: `virtualClock.advance(by: .seconds(60))` simulates work that
    /// takes a minute.
    public let virtualClock: VirtualClock
    /// The loop's selector, for its ``VirtualTimeSelector/settlingTime``.
    public let virtualSelector: VirtualTimeSelector

    /// Creates a loop over the selector of the given kind of loop, on a clock that begins at zero.
    ///
    /// Throws as `LoopKind.makeLoop` does.
    public init(_ kind: LoopKind = .auto) throws {
        virtualClock = VirtualClock()
        virtualSelector = VirtualTimeSelector(try kind.makeSelector(), clock: virtualClock)
        try super.init(selector: virtualSelector, clock: virtualClock)
    }
}

/// Runs a test's `body` in virtual time, on a loop whose clock jumps to the next timer instead of waiting. Everything
/// else is as in `withLoop`.
///
/// ```swift
/// @Test func aSilentClientIsClosedAfterAMinute() async throws {
///     try await withVirtualTimeLoop { loop, clock in
///         let server = try await startChat(on: loop, port: 0)  // what is tested
///         let port = server.localAddresses[0].port!
///         let (reader, _) = try await loop.openConnection(host: "127.0.0.1", port: port)
///         #expect(try await reader.readLine() == nil)
///         #expect(clock.now == LoopInstant(nanoseconds: 60_000_000_000))
///         try await server.shutDown(within: .seconds(1))
///     }
/// }
/// ```
///
/// Sockets are real and both ends belong to the loop, so a test of timeouts, retries and schedules takes milliseconds
/// and gives the same result each time. The clock moves when nothing has been ready for
/// ``VirtualTimeSelector/settlingTime``, a millisecond of real time by default.
///
/// Other threads and processes run in real time, and the loop does not know that it waits for them, so the clock
/// advances when a timer is pending. Therefore connect to addresses, not to names that have to be looked up, and do not
/// set a time limit for work that leaves the loop.
///
/// - Parameter body: Gets the loop and its clock.
public func withVirtualTimeLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (VirtualTimeLoop, VirtualClock) async throws -> Value
) async throws -> Value {
    let makeLoop = { try VirtualTimeLoop(kind) }
    return try await withLoop(makeLoop: makeLoop, options) { loop in try await body(loop, loop.virtualClock) }
}

/// Calls a test's `body` with a loop in virtual time, for tests that run, stop and close the loop themselves.
/// Everything else is as in `withLoopThread`.
///
/// ```swift
/// try await withVirtualTimeLoopThread { loop, clock in
///     loop.callLater(after: .seconds(3600)) { loop.stop() }
///     try loop.runForever()
///     #expect(clock.now == LoopInstant(nanoseconds: 3_600_000_000_000))
/// }
/// ```
///
/// The notes of `withVirtualTimeLoop` about other threads apply here too.
///
/// - Parameter body: Gets the loop and its clock.
public func withVirtualTimeLoopThread<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (VirtualTimeLoop, VirtualClock) throws -> Value
) async throws -> Value {
    let makeLoop: @Sendable () throws -> VirtualTimeLoop = { try VirtualTimeLoop(kind) }
    return try await withLoopThread(makeLoop: makeLoop, options) { loop in try body(loop, loop.virtualClock) }
}
