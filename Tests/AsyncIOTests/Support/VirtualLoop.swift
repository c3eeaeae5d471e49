import AsyncIO
import AsyncIOTesting

extension LoopKind {
    /// The kinds of this system that wait for readiness, for the tests of selectors and of their drivers.
    static let readinessBased = available.filter { $0 != .ioUring && $0 != .iocp }
}

extension TestLoop {
    /// In virtual time, a loop over a proactor that stands for one of the system: the kit wraps it in the same way. On
    /// a system without io_uring, it is the only completion loop whose real descriptors the kit's clock waits for.
    static let wrappedProactor = TestLoop("wrapped proactor") { clock in
        try TestLoop.makeLoop(ScriptedProactor(clock: nil), clock: clock)
    }

    /// The loops of this system, and ``wrappedProactor``.
    static let systemAndWrapped = kinds.map { TestLoop($0) } + [wrappedProactor]
}

/// Does what `withVirtualTimeLoop` does, for tests that need no clock.
func withVirtualLoop<Value: Sendable>(
    _ kind: TestLoop = TestLoop(.auto), _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (EventLoop) async throws -> Value
) async throws -> Value {
    try await withVirtualTimeLoop(kind, options) { loop, _ in try await body(loop) }
}

/// Does what `withVirtualTimeLoopThread` does, for tests that need no clock.
func withVirtualLoopThread<Value: Sendable>(
    _ kind: TestLoop, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (EventLoop) throws -> Value
) async throws -> Value {
    try await withVirtualTimeLoopThread(kind, options) { loop, _ in try body(loop) }
}
