import AsyncIO
import AsyncIOTesting
import Testing

struct GatherTests {
    private struct Failure: Error, Equatable {
        var number = 0
    }

    // covers: 85
    @Test(arguments: TestLoop.all)
    func gatherReturnsValuesInTheOrderOfItsArguments(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let (slow, quick, object) = try await gather(
                {
                    try await loop.sleep(for: .seconds(2))
                    return "slow"
                },
                {
                    try await loop.sleep(for: .seconds(1))
                    return 1
                },
                // The result is not Sendable.
                { Counting() })
            #expect((slow, quick) == ("slow", 1))
            object.value += 1
            let values = try await gather(each: [3, 1, 2]) { number in
                try await loop.sleep(for: .seconds(number))
                return number * 10
            }
            #expect(values == [30, 10, 20])
            let tasks = [2, 1].map { number in
                loop.createTask { () async throws in
                    try await loop.sleep(for: .seconds(number))
                    return number
                }
            }
            #expect(try await gather(tasks) == [2, 1])
            #expect(try await gather([loop.createTask { 5 }]) == [5])
            #expect(loop.now.nanoseconds == 7_000_000_000)
            let none = try await gather(each: [Int]()) { $0 }
            #expect(none.isEmpty && loop.statistics.tasks == 1)
        }
    }

    // covers: 85
    @Test(arguments: TestLoop.all)
    func gatherThrowsTheFirstErrorAndTheOthersContinue(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var ended: [Int] = []
            let error = await #expect(throws: Failure.self) {
                try await gather(each: [3, 1, 2]) { number in
                    try await loop.sleep(for: .seconds(number))
                    ended.append(number)
                    if number < 3 { throw Failure(number: number) }
                }
            }
            #expect(error == Failure(number: 1))
            #expect(ended == [1])
            #expect(loop.now.nanoseconds == 1_000_000_000)
            try await loop.sleep(for: .seconds(10))
            #expect(ended == [1, 2, 3])
        }
    }

    // covers: 85
    @Test(arguments: TestLoop.all)
    func gatherResultsReturnsValuesAndErrors(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let results = try await gatherResults(each: [3, 1, 2]) { number in
                try await loop.sleep(for: .seconds(number))
                if number == 1 { throw Failure(number: number) }
                if number == 2 { throw CancellationError() }
                return number
            }
            #expect(loop.now.nanoseconds == 3_000_000_000)
            #expect(try results[0].get() == 3)
            #expect(throws: Failure(number: 1)) { try results[1].get() }
            #expect(throws: CancellationError.self) { try results[2].get() }
            let task = loop.createTask { throw Failure(number: 9) }
            let others = try await gatherResults([task])
            #expect(throws: Failure(number: 9)) { try others[0].get() }
        }
    }

    // covers: 73, 85
    @Test(arguments: TestLoop.all)
    func cancelledGatherCancelsItsTasksAndWaitsForThem(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var cleanedUp = 0
            let body: @concurrent (Int) async throws -> Void = { number in
                do { try await loop.sleep(for: .seconds(3600)) } catch {
                    for _ in 0..<number { await loop.yield() }
                    cleanedUp += 1
                    throw error
                }
            }
            let tasks = (1...3).map { number in loop.createTask { try await body(number) } }
            let outers = [
                loop.createTask { _ = try await gather(each: 1...3, body) },
                loop.createTask { _ = try await gatherResults(each: 1...3, body) },
                loop.createTask { _ = try await gather(tasks) },
            ]
            for _ in 0..<4 { await loop.yield() }
            for (index, outer) in outers.enumerated() {
                outer.cancel()
                await #expect(throws: CancellationError.self) { try await outer.value }
                #expect(cleanedUp == 3 * (index + 1))
            }
        }
    }

    // covers: 75
    @Test(arguments: TestLoop.all)
    func cancelledGatherReturnsTheValuesIfAllTasksReturnOne(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let outer = loop.createTask {
                try await gather(each: [1, 2]) { number in
                    try? await loop.sleep(for: .seconds(3600))
                    return number
                }
            }
            for _ in 0..<3 { await loop.yield() }
            outer.cancel()
            let values = try await outer.value
            #expect(values == [1, 2])
        }
    }

    @Test(arguments: TestLoop.all)
    func cancelledTaskIsAnErrorAndDoesNotCancelTheOthers(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let cancelled = loop.createTask { try await loop.sleep(for: .seconds(3600)) }
            let other = loop.createTask { for _ in 0..<5 { try await loop.sleep(for: .zero) } }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { _ = try await gather([cancelled, other]) }
            #expect(!Task.isCancelled)
            try await other.value
        }
    }
}

private final class Counting {
    var value = 0
}
