import AsyncIO
import AsyncIOTesting
import Testing

/// The order of things in a tick, against what CPython's asyncio does, on every loop: see Tests/Differential.
struct DifferentialTests {
    // covers: 25, 27, 28, 29, 30, 42, 43, 44, 47, 48, 52, 53, 54, 58, 69, 102
    @Test(.expectsReleasedFiles, arguments: Scenario.all, TestLoop.systemAndWrapped)
    func theLoopDoesWhatAsyncioDoes(scenario: Scenario, kind: TestLoop) async throws {
        let expected = try #require(scenario.expected, "it was not recorded")
        // Errors are part of the scenario; the trace has them.
        let trace = try await withVirtualTimeLoopThread(kind, errorsOf(scenario)) { loop, clock in
            try ScenarioRunner(scenario, loop, clock).trace()
        }
        #expect(trace == expected)
    }

    @Test func thereAreScenarios() {
        #expect(Scenario.all.count > 180)
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count)
    }

    private func errorsOf(_ scenario: Scenario) -> LoopTestOptions {
        let errors = scenario.expected?.count { $0.contains(" error ") } ?? 0
        return LoopTestOptions(unhandledErrors: errors, allowsLeftoverWork: true)
    }
}
