import AsyncIOTesting
import Foundation
import Testing

@testable import AsyncIO

/// How many names are looked up at a time.
struct ResolverLimitTests {
    /// Names whose servers are silent, beside one that answers: the system's limit.
    // covers: 270, F59
    @Test func aNameThatAnswersIsResolvedBesideFiftyHungOnes() async throws {
        let names = NameServer(resolverLimit: Resolver.defaultThreadLimit)
        names.answer("localhost")
        try await withLoop { loop in
            let hung = (0..<50).map { lookUp("hung\($0)", names, on: loop) }
            await loop.until { names.asked.count == 50 }
            let began = loop.now
            try await expectAnswers([lookUp("localhost", names, on: loop)])
            #expect(began.duration(to: loop.now) < .seconds(1))
            #expect(names.resolver.threadCount <= 51)

            // Bounded, however many there are.
            let others = (50..<200).map { lookUp("hung\($0)", names, on: loop) }
            await loop.until { names.asked.count == 1 + 64 && names.resolver.waitingCount == 136 }
            #expect(names.resolver.threadCount == 64)
            names.answerAll()
            try await expectAnswers(hung + others)
            await loop.until { names.resolver.threadCount == 0 }
        }
        await names.threadsEnd()
    }

    // covers: 270
    @Test func theLimitOfThreadsCanBeChangedAtAnyTime() async throws {
        let names = NameServer(resolverLimit: 1)
        try await withLoop { loop in
            let tasks = (0..<6).map { lookUp("host\($0)", names, on: loop) }
            await loop.until { names.asked.count == 1 && names.resolver.waitingCount == 5 }
            names.resolver.threadLimit = 3
            await loop.until { names.asked.count == 3 && names.resolver.waitingCount == 3 }
            #expect(names.resolver.threadCount == 3)

            // Two of them end with their lookups, although others wait.
            names.resolver.threadLimit = 1
            names.answer("host0")
            names.answer("host1")
            try await expectAnswers([tasks[0], tasks[1]])
            await loop.until { names.resolver.threadCount == 1 }
            #expect(names.asked.count == 3 && names.resolver.waitingCount == 3)
            names.answerAll()
            try await expectAnswers(tasks)
        }
        await names.threadsEnd()
    }

    @Test func theLimitOfTheProcessIsSixtyFour() async {
        #expect(EventLoop.resolverThreadLimit == 64)
        await #expect(processExitsWith: .success) {
            EventLoop.resolverThreadLimit = 3
            guard EventLoop.resolverThreadLimit == 3, Resolver.shared.threadLimit == 3 else { exit(2) }
        }
        await #expect(processExitsWith: .failure) { EventLoop.resolverThreadLimit = 0 }
    }
}
