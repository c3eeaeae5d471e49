import AsyncIO

/// A small operation of the loop, or its counterpart in Swift.
///
/// An operation must do no more than its name says, because the loop around it is counted too.
struct Operation: Sendable {
    let name: String
    /// Performs the operation the given number of times, in a task of the loop.
    let run: @Sendable (EventLoop, Int) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (EventLoop, Int) async throws -> Void) {
        self.name = name
        self.run = run
    }

    static let all = ofTheLoop + ofCoordination + ofSwift
}

/// The state that closures change: one reference, so that capturing it allocates nothing.
final class Counter {
    var value = 0
}
