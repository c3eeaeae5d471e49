import AsyncIO
import AsyncIOTesting

typealias VirtualLoop = VirtualTimeLoop

extension VirtualTimeLoop {
    /// For `makeLoop`, which takes a function without parameters.
    convenience init() throws {
        try self.init(.auto)
    }
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
