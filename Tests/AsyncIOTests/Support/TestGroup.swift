import AsyncIO
import Testing

extension Trait where Self == TestGroup {
    /// For tests that start a process or fork, also by an exit test. The child holds a copy of every descriptor of this
    /// process until it executes its program, so a file that another test closes in the meantime is not released yet.
    static var startsProcess: TestGroup { TestGroup(kind: .startsProcess) }

    /// For tests that expect a file to be released when they close its descriptor: that its port is free, or that the
    /// peer is notified at once. They do not run at the same time as the tests that start processes.
    static var expectsReleasedFiles: TestGroup { TestGroup(kind: .expectsReleasedFiles) }
}

/// One of two groups of tests that do not run at the same time. The tests of one group run in parallel.
struct TestGroup: TestTrait, TestScoping {
    enum Kind { case startsProcess, expectsReleasedFiles }

    private static let lock = GroupLock<Kind>()
    fileprivate let kind: Kind

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        await Self.lock.enter(kind)
        defer { Self.lock.leave() }
        try await function()
    }
}

/// Admits tasks in the order in which they ask, several of one group at a time.
final class GroupLock<Group: Sendable & Equatable>: Sendable {
    private struct State {
        var group: Group?
        var admittedCount = 0
        var waiting: [(group: Group, continuation: CheckedContinuation<Void, Never>)] = []

        /// Removes those from the front of the queue that may enter now, and returns them.
        mutating func admit() -> [CheckedContinuation<Void, Never>] {
            var admitted: [CheckedContinuation<Void, Never>] = []
            while let first = waiting.first, admittedCount == 0 || first.group == group {
                group = first.group
                admittedCount += 1
                admitted.append(waiting.removeFirst().continuation)
            }
            return admitted
        }
    }

    private let state = Locked(State())

    func enter(_ group: Group) async {
        await withCheckedContinuation { continuation in
            change { $0.waiting.append((group, continuation)) }
        }
    }

    func leave() { change { $0.admittedCount -= 1 } }

    private func change(_ body: (inout State) -> Void) {
        let admitted = state.withLock { state in
            body(&state)
            return state.admit()
        }
        for continuation in admitted { continuation.resume() }
    }
}
