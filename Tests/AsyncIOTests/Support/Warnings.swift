import AsyncIO

/// The warnings of all threads.
final class Warnings: Sendable {
    private let list = Locked<[LoopWarning]>([])

    var all: [LoopWarning] { list.withLock { $0 } }

    /// On a busy machine anything may be slow, so only tests in virtual time check that there are no other warnings.
    func of(_ kind: LoopWarning.Kind) -> [LoopWarning] { all.filter { $0.kind == kind } }

    @Sendable func add(_ warning: LoopWarning) {
        list.withLock { $0.append(warning) }
    }
}
