public import AsyncIO

/// An event loop over real sockets whose time passes only when it has nothing else to do.
///
/// A sleep of an hour returns as soon as nothing is ready, and the loop's clock has moved by an hour. Sockets, signals
/// and callbacks from other threads are real. See `withVirtualTimeLoop` for what that means for a test.
///
/// - Thread: the loop's, as for every loop.
public final class VirtualTimeLoop: SelectorEventLoop, @unchecked Sendable {
    /// The loop's clock, which a test may move too: work that takes a minute is `virtualClock.advance(by:
    /// .seconds(60))`.
    public let virtualClock: VirtualClock
    /// The loop's selector, for its ``VirtualTimeSelector/settlingTime``.
    public let virtualSelector: VirtualTimeSelector

    /// Creates a loop over the selector of the given kind of loop, on a clock that begins at zero.
    ///
    /// Throws as `LoopKind.makeLoop`.
    public init(_ kind: LoopKind = .auto, fileID: StaticString = #fileID, line: UInt = #line) throws {
        virtualClock = VirtualClock()
        virtualSelector = VirtualTimeSelector(try kind.makeSelector(), clock: virtualClock)
        try super.init(selector: virtualSelector, clock: virtualClock, fileID: fileID, line: line)
    }
}

/// Runs a test's `body` in virtual time: as `withLoop`, on a loop whose clock jumps to the next timer instead of
/// waiting.
///
/// ```swift
/// @Test func aSilentClientIsClosedAfterAMinute() async throws {
///     try await withVirtualTimeLoop { loop, clock in
///         let server = try await startChat(on: loop, port: 0)  // what is tested
///         let port = server.localAddresses[0].port!
///         let (reader, _) = try await loop.openConnection(host: "127.0.0.1", port: port)
///         #expect(try await reader.readLine() == nil)
///         #expect(clock.now == LoopInstant(nanoseconds: 60_000_000_000))
///         server.close()
///         try await server.waitClosed()
///     }
/// }
/// ```
///
/// Sockets are real and both ends belong to the loop, so a test of timeouts, retries and schedules takes milliseconds
/// and gives the same result each time. The clock moves when nothing has been ready for
/// ``VirtualTimeSelector/settlingTime``, a millisecond of real time by default.
///
/// Other threads and processes live in real time, and the loop does not know that it waits for them: when a timer is
/// pending, the clock moves on. So connect to addresses, not to names that have to be looked up, and do not put a time
/// limit around work that leaves the loop.
///
/// - Parameter body: Gets the loop and its clock.
public func withVirtualTimeLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (VirtualTimeLoop, VirtualClock) async throws -> Value
) async throws -> Value {
    let makeLoop = { try VirtualTimeLoop(kind) }
    return try await withLoop(makeLoop: makeLoop, options) { loop in try await body(loop, loop.virtualClock) }
}

/// Calls a test's `body` with a loop in virtual time: as `withLoopThread`, for tests that run, stop and close it
/// themselves.
///
/// ```swift
/// try await withVirtualTimeLoopThread { loop, clock in
///     loop.callLater(after: .seconds(3600)) { loop.stop() }
///     try loop.runForever()
///     #expect(clock.now == LoopInstant(nanoseconds: 3_600_000_000_000))
/// }
/// ```
///
/// What `withVirtualTimeLoop` says of other threads applies here too.
///
/// - Parameter body: Gets the loop and its clock.
public func withVirtualTimeLoopThread<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (VirtualTimeLoop, VirtualClock) throws -> Value
) async throws -> Value {
    let makeLoop: @Sendable () throws -> VirtualTimeLoop = { try VirtualTimeLoop(kind) }
    return try await withLoopThread(makeLoop: makeLoop, options) { loop in try body(loop, loop.virtualClock) }
}
