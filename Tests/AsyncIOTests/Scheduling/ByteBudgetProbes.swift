import AsyncIO

/// Counts received bytes by iteration and by connection.
final class ByteTally {
    private let loop: EventLoop
    private(set) var byIteration: [Int: Int] = [:]
    private(set) var byConnection: [Int: Int] = [:]
    var total = 0

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func add(_ count: Int, of connection: Int) {
        byIteration[loop.statistics.ticks, default: 0] += count
        byConnection[connection, default: 0] += count
        if total < .max { total += count }
    }
}

/// Reads a number once per iteration. A difference may contain parts of two iterations.
final class IterationProbe {
    private let loop: EventLoop
    private let measure: () -> Int
    private var last: Int
    private var handle: Handle?
    private(set) var largest = 0
    /// The number of iterations in which the number grew.
    private(set) var steps = 0

    init(_ loop: EventLoop, _ measure: @escaping () -> Int) {
        (self.loop, self.measure) = (loop, measure)
        last = measure()
        look()
    }

    func stop() {
        handle?.cancel()
        note()
    }

    private func look() {
        note()
        handle = loop.callSoon { [self] in look() }
    }

    private func note() {
        let value = measure()
        largest = max(largest, value - last)
        if value > last { steps += 1 }
        last = value
    }
}
