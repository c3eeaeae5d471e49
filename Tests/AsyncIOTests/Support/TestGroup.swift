import Synchronization
import Testing

extension Trait where Self == ProcessStarts {
    /// For tests that start a process or fork, also by an exit test. The child holds a copy of every descriptor of this
    /// process until it executes its program, so that what another test closes in the meantime is not closed yet.
    static var startsProcess: ProcessStarts { ProcessStarts(group: .startsProcess) }

    /// For tests that expect the last reference of a file to be gone when they close it: that its port is free, or that
    /// the peer is notified at once. They do not run at the same time as the tests that start processes.
    static var closesFiles: ProcessStarts { ProcessStarts(group: .closesFiles) }
}

/// Keeps two groups of tests apart. Those of one group run in parallel.
struct ProcessStarts: TestTrait, SuiteTrait, TestScoping {
    fileprivate let group: GroupLock.Group
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        await GroupLock.shared.enter(group)
        defer { GroupLock.shared.leave() }
        try await function()
    }
}

/// Lets many tasks of one group in at a time, in the order in which they ask.
private final class GroupLock: Sendable {
    enum Group { case startsProcess, closesFiles }

    private struct State {
        var group = Group.startsProcess
        var count = 0
        var waiting: [(group: Group, continuation: CheckedContinuation<Void, Never>)] = []

        /// Lets those in that are at the front of the queue and may enter, and returns them.
        mutating func admit() -> [CheckedContinuation<Void, Never>] {
            var admitted: [CheckedContinuation<Void, Never>] = []
            while let first = waiting.first, count == 0 || first.group == group {
                group = first.group
                count += 1
                admitted.append(waiting.removeFirst().continuation)
            }
            return admitted
        }
    }

    static let shared = GroupLock()
    private let state = Mutex(State())

    func enter(_ group: Group) async {
        await withCheckedContinuation { continuation in
            change { $0.waiting.append((group, continuation)) }
        }
    }

    func leave() { change { $0.count -= 1 } }

    private func change(_ body: (inout sending State) -> Void) {
        let admitted = state.withLock { state in
            body(&state)
            return state.admit()
        }
        for continuation in admitted { continuation.resume() }
    }
}
