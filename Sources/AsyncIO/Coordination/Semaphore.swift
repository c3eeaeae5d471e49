/// A counter of permits, for limiting how many tasks of one loop do something at a time. asyncio: `Semaphore`.
///
/// ```swift
/// let connections = Semaphore(10)
/// try await connections.withPermit {
///     // At most ten tasks are here.
/// }
/// ```
///
/// It blocks no thread. Tasks get permits in the order in which they asked for them: a permit that is returned while
/// tasks wait goes to the first of them at once. If that task is cancelled before it could run, the next one gets it.
///
/// - Thread: as with ``Lock``.
public class Semaphore: CustomStringConvertible {
    @usableFromInline final let permits: Permits

    /// Creates a semaphore with `value` permits. Traps for a negative value (asyncio: `ValueError`).
    public init(_ value: Int = 1) {
        // Not a precondition, because a release build would trap without the message.
        if value < 0 { fatalError("the value of a semaphore must not be negative, but it is \(value)") }
        permits = Permits(value)
    }

    /// Whether no permit is left, so that acquiring one waits. asyncio: `locked`.
    public final var isLocked: Bool {
        permits.binding.require("Semaphore.isLocked")
        return permits.available <= 0
    }

    /// Waits until a permit is available, and takes it. asyncio: `acquire`. Throws as ``Lock/acquire()`` does.
    public final func acquire() async throws {
        try await permits.acquire("Semaphore.acquire")
    }

    /// Returns a permit. Without a preceding ``acquire()`` it adds one. asyncio: `release`.
    /// Throws `.wrongThread` and `.anotherLoopRunning`.
    public func release() throws(EventLoopError) {
        try permits.binding.check("Semaphore.release")
        permits.give()
    }

    /// Takes a permit, calls `body`, and returns the permit, also if `body` throws. asyncio: `async with semaphore`.
    /// Throws as ``acquire()`` does, and what `body` throws.
    @inlinable
    public final func withPermit<Result>(_ body: @concurrent () async throws -> Result) async throws -> Result {
        if try permits.beginHere("Semaphore.withPermit", #isolation) {
            defer { permits.give() }
            return try await body()
        }
        return try await permits.withPermit("Semaphore.withPermit", body)
    }

    /// The class, the number of available permits and of waiting tasks, such as `<Semaphore value=0, 2 waiting>`.
    public final var description: String {
        let isUsable = permits.binding.isUsable
        let state = isUsable ? "value=\(permits.available)\(waitingText(permits.waitingCount))" : "of another loop"
        return "<\(type(of: self)) \(state)>"
    }
}

/// A semaphore that refuses more permits than it had at first. asyncio: `BoundedSemaphore`.
public final class BoundedSemaphore: Semaphore {
    private let bound: Int

    /// Creates a semaphore that never has more than `value` permits. Traps for a negative value.
    public override init(_ value: Int = 1) {
        bound = value
        super.init(value)
    }

    /// Returns a permit. Throws `.invalidState` if all permits have been returned (asyncio: `ValueError`), and as
    /// ``Semaphore/release()`` does.
    public override func release() throws(EventLoopError) {
        try permits.binding.check("BoundedSemaphore.release")
        if permits.available >= bound {
            throw EventLoopError(
                .invalidState, "BoundedSemaphore.release: all \(bound) permits have been returned already")
        }
        permits.give()
    }
}

@available(*, unavailable, message: "a semaphore belongs to its loop")
extension Semaphore: Sendable {}
