import Synchronization

/// A counter for several threads.
final class Counter: Sendable {
    private let atomic = Atomic<Int>(0)

    var value: Int { atomic.load(ordering: .acquiring) }

    func increment() { atomic.add(1, ordering: .acquiringAndReleasing) }
}

/// Counts its release.
final class Counted: Sendable {
    private let released: Counter

    init(_ released: Counter) {
        self.released = released
    }

    deinit { released.increment() }

    func touch() {}
}
