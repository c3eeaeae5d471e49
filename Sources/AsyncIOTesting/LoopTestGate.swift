import CAsyncIO

/// Limits how many tests of a process run a loop at the same time.
///
/// Test libraries start all their tests at once. With hundreds of loops on a few processors, a time limit would measure
/// how busy the machine is, instead of detecting a test that hangs.
actor LoopTestGate {
    private static let shared = LoopTestGate()
    /// Set inside of a test, because a test within a test would wait for the slot of its own outer test.
    @TaskLocal private static var isInside = false

    /// More jobs than a test library needs from its first job to the last test that it starts.
    private static let startingJobs = 10

    private var free = max(4, 2 * Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    private var waiters: [CheckedContinuation<Void, Never>] = []

    static func pass<Value>(_ test: () async throws -> Value) async throws -> Value {
        if isInside { return try await test() }
        // After the tests that need no loop. They occupy the pool's threads from their start to their end, and a test
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

    /// Passes the slot to the test that has waited longest.
    private func leave() {
        if waiters.isEmpty {
            free += 1
        } else {
            waiters.removeFirst().resume()
        }
    }
}
