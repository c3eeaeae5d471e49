import AsyncIO
import AsyncIOTesting
import Testing

struct BarrierTests {
    /// Starts a task, which waits at the barrier when this function returns.
    private func arrive(
        _ number: Int, at barrier: Barrier, _ outcomes: Outcomes, on loop: EventLoop
    ) -> Task<Void, Never> {
        loop.createTask(eagerStart: true) { await outcomes.note(number) { "\(try await barrier.wait())" } }
    }

    private func iterate(_ loop: EventLoop) async {
        for _ in 0..<3 { await loop.yield() }
    }

    // covers: 317
    @Test(arguments: TestLoop.all)
    func barrierOpensForItsPartiesAgainAndAgain(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let barrier = Barrier(parties: 3)
            let outcomes = Outcomes()
            // Seven tasks: two openings, and one that waits for the third.
            for number in 0..<7 { _ = arrive(number, at: barrier, outcomes, on: loop) }
            // The last one of the first three does not wait; the other four arrived while the barrier emptied.
            #expect(outcomes.texts == [2: "2"] && barrier.waitingCount == 0)
            #expect("\(barrier)" == "<Barrier draining, 4 of 3 waiting>")
            await iterate(loop)
            #expect(outcomes.texts == [0: "0", 1: "1", 2: "2", 3: "0", 4: "1", 5: "2"])
            #expect(barrier.waitingCount == 1 && barrier.parties == 3)
            #expect("\(barrier)" == "<Barrier filling, 1 of 3 waiting>")
            for number in 7...8 { _ = arrive(number, at: barrier, outcomes, on: loop) }
            await loop.yield()
            #expect([6, 7, 8].map { outcomes[$0] } == ["0", "1", "2"])
        }
    }

    @Test(arguments: TestLoop.all)
    func barrierOfOnePartyNeverWaits(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let barrier = Barrier(parties: 1)
            let suspensions = loop.statistics.suspensions
            for _ in 0..<3 {
                let index = try await barrier.wait()
                #expect(index == 0)
            }
            #expect(loop.statistics.suspensions == suspensions)
        }
    }

    // covers: 317
    @Test(arguments: TestLoop.all)
    func cancelledPartyLeavesAndTheOthersWaitOn(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let barrier = Barrier(parties: 3)
            let outcomes = Outcomes()
            let tasks = (0..<2).map { arrive($0, at: barrier, outcomes, on: loop) }
            tasks[0].cancel()
            // In the same iteration, so only two parties are there.
            _ = arrive(2, at: barrier, outcomes, on: loop)
            await iterate(loop)
            #expect(outcomes.texts == [0: "cancelled"] && barrier.waitingCount == 2 && !barrier.isBroken)
            _ = arrive(3, at: barrier, outcomes, on: loop)
            // Cancelled after the barrier opened: the others continue.
            tasks[1].cancel()
            await iterate(loop)
            #expect(outcomes.texts == [0: "cancelled", 1: "cancelled", 2: "1", 3: "2"])
            #expect(barrier.waitingCount == 0)
        }
    }

    // covers: 317
    @Test(arguments: TestLoop.all)
    func resetEndsTheWaitsAndTheBarrierFillsAgain(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let barrier = Barrier(parties: 2)
            let outcomes = Outcomes()
            barrier.reset()
            _ = arrive(0, at: barrier, outcomes, on: loop)
            barrier.reset()
            #expect(!barrier.isBroken)
            // These arrive while the first one leaves, so they count for the next time.
            _ = arrive(1, at: barrier, outcomes, on: loop)
            _ = arrive(2, at: barrier, outcomes, on: loop)
            await iterate(loop)
            #expect(outcomes.texts == [0: "brokenBarrier", 1: "0", 2: "1"])
        }
    }

    // covers: 317
    @Test(arguments: TestLoop.all)
    func resetOfAnOpenBarrierReachesThoseThatHaveNotContinued(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let barrier = Barrier(parties: 2)
            let outcomes = Outcomes()
            _ = arrive(0, at: barrier, outcomes, on: loop)
            let index = try await barrier.wait()
            _ = arrive(1, at: barrier, outcomes, on: loop)
            barrier.reset()
            await iterate(loop)
            #expect(index == 1 && outcomes.texts[0] == "brokenBarrier")
            // The one that arrived after the barrier had opened waits on.
            #expect(outcomes[1] == nil && barrier.waitingCount == 1)
            let last = try await barrier.wait()
            await loop.yield()
            #expect(last == 1 && outcomes[1] == "0")
        }
    }

    // covers: 317
    @Test(arguments: TestLoop.all)
    func abortEndsAllWaitsUntilAReset(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let barrier = Barrier(parties: 2)
            let outcomes = Outcomes()
            _ = arrive(0, at: barrier, outcomes, on: loop)
            barrier.abort()
            #expect(barrier.isBroken && barrier.waitingCount == 0 && "\(barrier)" == "<Barrier broken>")
            #expect(await asyncCode { _ = try await barrier.wait() } == .brokenBarrier)
            await loop.yield()
            #expect(outcomes.texts == [0: "brokenBarrier"])
            barrier.reset()
            #expect(!barrier.isBroken)
            for number in 1...2 { _ = arrive(number, at: barrier, outcomes, on: loop) }
            await iterate(loop)
            #expect(outcomes.texts == [0: "brokenBarrier", 1: "0", 2: "1"])
        }
    }
}
