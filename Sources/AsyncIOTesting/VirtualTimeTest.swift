public import AsyncIO

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
/// and gives the same result each time. The clock moves when nothing has been ready for ``VirtualClock/settlingTime``,
/// a millisecond of real time by default.
///
/// Other threads and processes run in real time, and the loop does not know that it waits for them, so the clock
/// advances when a timer is pending. Therefore connect to addresses, not to names that have to be looked up, and do not
/// set a time limit for work that leaves the loop.
///
/// - Parameter body: Gets the loop and its clock, which begins at zero.
public func withVirtualTimeLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (EventLoop, VirtualClock) async throws -> Value
) async throws -> Value {
    try await withVirtualTimeLoop(TestLoop(kind), options, body)
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
/// - Parameter body: Gets the loop and its clock, which begins at zero.
public func withVirtualTimeLoopThread<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (EventLoop, VirtualClock) throws -> Value
) async throws -> Value {
    try await withVirtualTimeLoopThread(TestLoop(kind), options, body)
}
