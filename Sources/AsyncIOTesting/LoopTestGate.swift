import CAsyncIO

/// Lets few tests of a process run a loop at the same time; the others wait their turn.
///
/// Test libraries start all their tests at once. Hundreds of loops on a few processors would make every time limit a
/// measure of how busy the machine is, where it is meant to say that a test hangs.
actor LoopTestGate {
    private static let shared = LoopTestGate()
    /// A test within a test would wait for the place that its own outer test holds.
    @TaskLocal private static var isInside = false

    /// More than a test library takes from its first job to the last test that it starts.
    private static let startingJobs = 10

    private var free = max(4, 2 * Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    private var waiters: [CheckedContinuation<Void, Never>] = []

    static func pass<Value>(_ test: () async throws -> Value) async throws -> Value {
        if isInside { return try await test() }
        // Behind the tests that need no loop. They keep the pool's threads from their start to their end, and a test
        // with a loop that needs such a thread would wait for all of them.
        for _ in 0..<startingJobs { await Task.yield() }
        await shared.enter()
        let result: Result<Value, any Error>
        do {
            result = .success(try await $isInside.withValue(true, operation: test))
        } catch {
            result = .failure(error)
        }
        await shared.leave()
        return try result.get()
    }

    private func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiters.append($0) }
        }
    }

    /// The place goes to who has waited longest.
    private func leave() {
        if waiters.isEmpty {
            free += 1
        } else {
            waiters.removeFirst().resume()
        }
    }
}
