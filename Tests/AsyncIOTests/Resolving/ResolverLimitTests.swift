import AsyncIOTesting
import Foundation
import Testing

@testable import AsyncIO

/// The limits of the resolver.
struct ResolverLimitTests {
    /// Names whose servers are silent, beside one that answers, with the default limit.
    // covers: 270, F59
    @Test func nameIsResolvedBesideFiftyHungLookups() async throws {
        let names = NameServer(resolverLimit: SystemResolver.defaultThreadLimit)
        names.answer("localhost")
        try await withLoop { loop in
            let hung = (0..<50).map { lookUp("hung\($0)", names, on: loop) }
            await loop.until { names.asked.count == 50 }
            let began = loop.now
            try await expectAnswers([lookUp("localhost", names, on: loop)])
            #expect(began.duration(to: loop.now) < .seconds(1))
            #expect(names.resolver.workers.threadCount <= 51)

            // The number of threads is bounded.
            let others = (50..<200).map { lookUp("hung\($0)", names, on: loop) }
            await loop.until { names.asked.count == 1 + 64 && names.resolver.waitingCount == 136 }
            #expect(names.resolver.workers.threadCount == 64)
            names.answerAll()
            try await expectAnswers(hung + others)
            await loop.until { names.resolver.workers.threadCount == 0 }
        }
        await names.threadsEnd()
    }

    /// As with many clients of one forwarder.
    // covers: 270, 271, F59
    @Test func lookupsOfOneNameShareAThreadAndItsAnswer() async throws {
        let names = NameServer(resolverLimit: 2)
        try await withLoop { loop in
            let same = (0..<100).map { _ in lookUp("hung", names, on: loop) }
            await loop.until { loop.statistics.waitingTasks == 100 && names.asked == ["hung"] }
            #expect(names.resolver.workers.threadCount == 1 && names.resolver.waitingCount == 0)
            names.answer("other")
            try await expectAnswers([lookUp("other", names, on: loop)])

            // Cancelled lookups, including the first one, leave the others waiting.
            for task in same[..<50] { task.cancel() }
            for task in same[..<50] { await #expect(throws: CancellationError.self) { try await task.value } }
            names.answer("hung")
            try await expectAnswers(Array(same[50...]))
            #expect(names.asked == ["hung", "other"])

            // Answers are not cached.
            try await expectAnswers([lookUp("hung", names, on: loop)])
            #expect(names.asked == ["hung", "other", "hung"])
        }
        await names.threadsEnd()
    }

    // covers: 271
    @Test func lookupJoinsAQuestionThatAllOthersAbandoned() async throws {
        let names = NameServer(resolverLimit: 2)
        try await withLoop { loop in
            let first = lookUp("hung", names, on: loop)
            await loop.until { names.asked == ["hung"] }
            first.cancel()
            await #expect(throws: CancellationError.self) { try await first.value }
            let later = lookUp("hung", names, on: loop)
            await loop.until { loop.statistics.waitingTasks == 1 }
            #expect(names.resolver.workers.threadCount == 1)
            names.answer("hung")
            try await expectAnswers([later])
            #expect(names.asked == ["hung"])
        }
        await names.threadsEnd()
    }

    // covers: 271, F59
    @Test func lookupsOfOneNameAreBounded() async throws {
        let names = NameServer(resolverLimit: 1)
        try await withLoop { loop in
            let tasks = (0...SystemResolver.maxWaiting).map { _ in lookUp("hung", names, on: loop) }
            await loop.until { loop.statistics.waitingTasks == tasks.count }
            let refused = lookUp("hung", names, on: loop)
            #expect(await asyncCode { _ = try await refused.value } == .tooManyLookups)
            tasks[0].cancel()
            await #expect(throws: CancellationError.self) { try await tasks[0].value }
            let accepted = lookUp("hung", names, on: loop)
            await loop.until { loop.statistics.waitingTasks == tasks.count }
            names.answerAll()
            try await expectAnswers(tasks[1...] + [accepted])
        }
        await names.threadsEnd()
    }

    /// They were once counted as waiting until the process ended.
    // covers: 271, F59
    @Test func cancelledLookupsOfAHungNameAreNotCountedLater() async throws {
        let names = NameServer(resolverLimit: 1)
        try await withLoop { loop in
            for round in 0...SystemResolver.maxWaiting {
                let cancelled = lookUp("hung", names, on: loop)
                await loop.until { names.asked == ["hung"] && loop.statistics.waitingTasks == 1 }
                cancelled.cancel()
                await #expect(throws: CancellationError.self, "round \(round)") { try await cancelled.value }
            }
            let waiting = (0..<2).map { _ in lookUp("hung", names, on: loop) }
            await loop.until { loop.statistics.waitingTasks == 2 }
            names.answer("hung")
            try await expectAnswers(waiting)
            #expect(names.asked == ["hung"])
        }
        await names.threadsEnd()
    }

    // covers: 270
    @Test func resolverThreadLimitCanBeChangedAtAnyTime() async throws {
        let names = NameServer(resolverLimit: 1)
        try await withLoop { loop in
            let tasks = (0..<6).map { lookUp("host\($0)", names, on: loop) }
            await loop.until { names.asked.count == 1 && names.resolver.waitingCount == 5 }
            names.resolver.threadLimit = 3
            await loop.until { names.asked.count == 3 && names.resolver.waitingCount == 3 }
            #expect(names.resolver.workers.threadCount == 3)

            // Two threads end with their lookups, although others wait.
            names.resolver.threadLimit = 1
            names.answer("host0")
            names.answer("host1")
            try await expectAnswers([tasks[0], tasks[1]])
            await loop.until { names.resolver.workers.threadCount == 1 }
            #expect(names.asked.count == 3 && names.resolver.waitingCount == 3)
            names.answerAll()
            try await expectAnswers(tasks)
        }
        await names.threadsEnd()
    }

    @Test(.startsProcess) func threadLimitOfTheProcessIsSixtyFour() async {
        #expect(SystemResolver.threadLimit == 64)
        await #expect(processExitsWith: .success) {
            SystemResolver.threadLimit = 3
            guard SystemResolver.threadLimit == 3, SystemResolver.shared.threadLimit == 3 else { exit(2) }
        }
        await #expect(processExitsWith: .failure) { SystemResolver.threadLimit = 0 }
    }
}
