import AsyncIO
import AsyncIOTesting

typealias VirtualLoop = VirtualTimeLoop

extension VirtualTimeLoop {
    /// For `makeLoop`, which takes a function without parameters.
    convenience init() throws {
        try self.init(.auto)
    }
}

/// Does what `withVirtualTimeLoop` does, for tests that get the clock from the loop.
func withVirtualLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (VirtualLoop) async throws -> Value
) async throws -> Value {
    try await withVirtualTimeLoop(kind, options) { loop, _ in try await body(loop) }
}

/// Does what `withVirtualTimeLoopThread` does, for tests that get the clock from the loop.
func withVirtualLoopThread<Value: Sendable>(
    _ kind: LoopKind, _ options: LoopTestOptions, _ body: sending @escaping (VirtualLoop) throws -> Value
) async throws -> Value {
    try await withVirtualTimeLoopThread(kind, options) { loop, _ in try body(loop) }
}
