import AsyncIO

/// A small operation of the loop, or the same with what Swift itself has.
///
/// An operation must not do more than its name says: the loop around it is part of what is counted.
struct Operation: Sendable {
    let name: String
    /// Performs the operation so many times, in a task of the loop.
    let run: @Sendable (EventLoop, Int) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (EventLoop, Int) async throws -> Void) {
        self.name = name
        self.run = run
    }

    static let all = ofTheLoop + ofSwift
}

/// What closures change: one reference, so that capturing it allocates nothing.
final class Counter {
    var value = 0
}
