import Synchronization

/// What several threads count.
final class Counter: Sendable {
    private let atomic = Atomic<Int>(0)

    var value: Int { atomic.load(ordering: .acquiring) }

    func increment() { atomic.add(1, ordering: .acquiringAndReleasing) }
}

/// Tells when it is released.
final class Counted: Sendable {
    private let released: Counter

    init(_ released: Counter) {
        self.released = released
    }

    deinit { released.increment() }

    func touch() {}
}
