import AsyncIO
import AsyncIOTesting
import Testing

/// What happens when, against what CPython's asyncio does, on every loop: see Tests/Differential.
struct DifferentialTests {
    // covers: 25, 27, 28, 29, 30, 42, 43, 44, 47, 48, 52, 53, 54, 58, 69, 102
    @Test(.expectsReleasedFiles, arguments: Scenario.all, TestLoop.systemAndWrapped)
    func theLoopDoesWhatAsyncioDoes(scenario: Scenario, kind: TestLoop) async throws {
        try await compare(scenario, on: kind)
    }

    @Test(
        .expectsReleasedFiles, arguments: Scenario.all.filter { $0.instants == true },
        TestLoop.systemAndWrapped.map(\.filtered))
    func filteredConnectionsDoWhatAsyncioDoes(scenario: Scenario, kind: TestLoop) async throws {
        try await compare(scenario, on: kind)
    }

    @Test func thereAreScenarios() {
        #expect(Scenario.all.count > 340)
        #expect(Scenario.all.count { $0.instants == true } > 130)
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count)
    }

    private func compare(_ scenario: Scenario, on kind: TestLoop) async throws {
        let expected = try #require(scenario.expected, "it was not recorded")
        // Errors are part of the scenario; the trace has them.
        let errors = expected.count { $0.contains(" error ") }
        let options = LoopTestOptions(unhandledErrors: errors, allowsLeftoverWork: true)
        let trace = try await withVirtualTimeLoopThread(kind, options) { loop, clock in
            try ScenarioRunner(scenario, loop, clock).trace()
        }
        #expect(trace == expected)
    }
}
