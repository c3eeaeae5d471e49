/// Lets Dispatch open its descriptors, so that it opens none later in this process.
///
/// Dispatch opens a descriptor with the first timer of each clock and never closes it. The time limit of `withLoop` is
/// such a timer, and another thread sets it while the test runs: Dispatch would take the last descriptor that a limit
/// leaves, or the number of one that the test has closed.
func openDispatchDescriptors() async throws {
    // Long enough that it has not ended before the timer is set; otherwise Dispatch would need no descriptor for it.
    try await Task.sleep(for: .milliseconds(100), clock: .suspending)
    try await Task.sleep(for: .milliseconds(100), clock: .continuous)
}
