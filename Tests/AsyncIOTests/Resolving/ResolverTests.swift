import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

@testable import AsyncIO

struct ResolverTests {
    // covers: 268
    @Test func literalsAndWildcardsNeedNoThread() async throws {
        let names = NameServer()
        try await withLoop { loop in
            let cases: [(host: String?, addresses: [String])] = [
                ("127.0.0.1", ["127.0.0.1:7"]), ("::1", ["[::1]:7"]),
                (nil, ["0.0.0.0:7", "[::]:7"]), ("", ["0.0.0.0:7", "[::]:7"]),
            ]
            for (host, expected) in cases {
                let addresses = try await loop.resolve(host: host, port: 7, by: names.resolver)
                #expect(addresses.map(\.description) == expected)
            }
            #expect(loop.statistics.suspensions == 0)
        }
        #expect(names.asked.isEmpty)
    }

    /// They are never truncated, which would make them other names.
    // covers: 274, F60
    @Test func namesThatCannotBeLookedUpAreRejected() async throws {
        let names = NameServer()
        try await withLoop { loop in
            for count in [254, 255, 256, 300] {
                let host = String(repeating: "a", count: count)
                let error = await #expect(throws: EventLoopError.self) {
                    _ = try await loop.resolve(host: host, port: 7, by: names.resolver)
                }
                #expect(error?.code == .unknownHost)
                #expect(error?.description.contains("\(count) bytes") == true)
            }
            // The first one has two bytes per character in UTF-8.
            for host in [String(repeating: "ü", count: 127), "localhost\0.example", "\0"] {
                let code = await asyncCode { _ = try await loop.resolve(host: host, port: 7, by: names.resolver) }
                #expect(code == .unknownHost)
            }
            #expect(names.asked.isEmpty)

            let longest = String(repeating: "a", count: 253)
            names.answer(longest)
            let addresses = try await loop.resolve(host: longest, port: 7, by: names.resolver)
            #expect(addresses == NameServer.addresses(7))
            #expect(names.asked == [longest])
            #expect(loop.statistics.waitingTasks == 0)
        }
        await names.threadsEnd()
    }

    // covers: 269
    @Test func systemResolverKnowsLocalhost() async throws {
        // The system asks silent name servers several times, one after the other.
        try await withLoop(.auto, LoopTestOptions(timeLimit: .seconds(300))) { loop in
            let addresses = try await loop.resolve(host: "localhost", port: 80)
            #expect(!addresses.isEmpty)
            #expect(addresses.allSatisfy { ["127.0.0.1:80", "[::1]:80"].contains($0.description) })

            // The name server knows that there is no such host, or there is no name server.
            let error = await #expect(throws: EventLoopError.self) {
                _ = try await loop.resolve(host: "no-such-host.invalid", port: 80)
            }
            #expect(error?.code == .unknownHost || error?.code == .resolverFailed)
            #expect(error?.description.hasPrefix("cannot resolve 'no-such-host.invalid': ") == true)
        }
    }

    // covers: 269
    @Test func unknownHostAndFailedResolverAreDistinctErrors() {
        let unknown = SystemResolver.error("a.example", EAI_NONAME)
        #expect(unknown.code == .unknownHost)
        #expect(unknown.description == "cannot resolve 'a.example': \(String(cString: gai_strerror(EAI_NONAME)))")
        for status in [EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_SYSTEM] {
            let failed = SystemResolver.error("a.example", status)
            #expect(failed.code == .resolverFailed)
            #expect(failed.description == "cannot resolve 'a.example': \(String(cString: gai_strerror(status)))")
        }
    }

    // covers: 270, F59
    @Test func hungLookupDelaysNeitherOthersNorTheLoop() async throws {
        let names = NameServer()
        try await withLoop { loop in
            let hung = lookUp("hung", names, on: loop)
            await loop.until { names.asked == ["hung"] }
            #expect(names.resolver.workers.threadCount == 1)

            // One further thread is enough for successive names that are answered.
            for index in 0..<20 {
                names.answer("host\(index)")
                let addresses = try await loop.resolve(host: "host\(index)", port: 7, by: names.resolver)
                #expect(addresses == NameServer.addresses(7))
                #expect(names.resolver.workers.threadCount <= 2)
            }
            await loop.until { names.resolver.workers.threadCount == 1 }

            names.answer("hung")
            try await expectAnswers([hung])
        }
        await names.threadsEnd()
    }

    // covers: 270
    @Test func threadsExistOnlyWhileThereAreLookups() async throws {
        let names = NameServer()
        #expect(names.resolver.workers.threadCount == 0)
        try await withLoop { loop in
            for round in 0..<3 {
                let task = lookUp("round\(round)", names, on: loop)
                await loop.until { names.asked.count == round + 1 }
                #expect(names.resolver.workers.threadCount == 1)
                names.answer("round\(round)")
                try await expectAnswers([task])
                await loop.until { names.resolver.workers.threadCount == 0 }
            }
        }
    }

    // covers: 270, F59
    @Test func theFifthLookupWaitsForAThread() async throws {
        let names = NameServer()
        try await withLoop { loop in
            let tasks = (0..<6).map { lookUp("host\($0)", names, on: loop) }
            await loop.until { names.asked.count == names.resolver.threadLimit && loop.statistics.waitingTasks == 6 }
            #expect(names.resolver.waitingCount == 2)
            #expect(names.resolver.workers.threadCount == names.resolver.threadLimit)
            #expect(Set(names.asked) == ["host0", "host1", "host2", "host3"])

            names.answer("host2")
            _ = try await tasks[2].value
            await loop.until { names.asked.count == 5 }
            #expect(names.asked.last == "host4")
            #expect(names.resolver.waitingCount == 1)

            names.answerAll()
            try await expectAnswers(tasks)
            #expect(names.threads.count <= names.resolver.threadLimit)
            #expect(!names.threads.contains(currentThread()))
        }
        await names.threadsEnd()
    }

    // covers: 270
    @Test func noSecondThreadIsStartedWhileOneIsAboutToAsk() async throws {
        let resolver = SystemResolver(startThread: { _ in 0 }, ask: { _, port in .success(NameServer.addresses(port)) })
        try await withLoop { loop in
            let first = loop.createTask { try await loop.resolve(host: "a.example", port: 7, by: resolver) }
            await loop.until { resolver.waitingCount == 1 }
            first.cancel()
            await #expect(throws: CancellationError.self) { try await first.value }
            #expect(resolver.waitingCount == 0)

            // The thread that was started for the first lookup has not begun yet.
            let second = loop.createTask { try await loop.resolve(host: "b.example", port: 7, by: resolver) }
            await loop.until { resolver.waitingCount == 1 }
            #expect(resolver.workers.threadCount == 1)
            _ = OtherThread { resolver.workers.run() }
            try await expectAnswers([second])
            await loop.until { resolver.workers.threadCount == 0 }
        }
    }

    /// For the thread sanitizer, which observes many interleavings.
    // covers: 271
    @Test func lookupsThatAnotherThreadCancelsReturnOrThrow() async throws {
        let names = NameServer()
        names.answerAll()
        try await withLoop { loop in
            for _ in 0..<rounds(debug: 50, full: 500) {
                let tasks = (0..<20).map { lookUp("host\($0)", names, on: loop) }
                let canceller = OtherThread { for task in tasks { task.cancel() } }
                for task in tasks {
                    do { try await expectAnswers([task]) } catch { #expect(error is CancellationError) }
                }
                canceller.join()
            }
            #expect(names.resolver.waitingCount == 0)
        }
        await names.threadsEnd()
    }

    // covers: 271, F59
    @Test func waitingLookupsThatAreCancelledAreNeverAsked() async throws {
        let names = NameServer()
        try await withLoop { loop in
            let running = (0..<names.resolver.threadLimit).map { lookUp("hung\($0)", names, on: loop) }
            await loop.until { names.asked.count == names.resolver.threadLimit }

            let waiting = (0..<100).map { lookUp("abandoned\($0)", names, on: loop) }
            let kept = lookUp("kept", names, on: loop)
            await loop.until { names.resolver.waitingCount == 101 }
            for task in waiting { task.cancel() }
            for task in waiting { await #expect(throws: CancellationError.self) { try await task.value } }
            #expect(names.resolver.waitingCount == 1)
            #expect(loop.statistics.waitingTasks == running.count + 1)

            names.answerAll()
            try await expectAnswers(running + [kept])
            #expect(names.asked.count == names.resolver.threadLimit + 1)
            #expect(names.asked.last == "kept")
        }
        await names.threadsEnd()
    }

    // covers: 271
    @Test func cancelledTaskDoesNotAsk() async throws {
        let names = NameServer()
        try await withLoop { loop in
            let task = lookUp("never", names, on: loop)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(names.resolver.workers.threadCount == 0)
        }
        #expect(names.asked.isEmpty)
    }

    // covers: 271, F59
    @Test(arguments: [true, false])
    func cancellingARunningLookupFreesItsWaiterAtOnce(isTaskOfTheLoop: Bool) async throws {
        let names = NameServer()
        try await withLoop { loop in
            let task = isTaskOfTheLoop ? lookUp("hung", names, on: loop) : otherLookUp("hung", names, on: loop)
            await loop.until { names.asked == ["hung"] && loop.statistics.waitingTasks == 1 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(loop.statistics.waitingTasks == 0)
            #expect(names.resolver.workers.threadCount == 1)

            // The late answer has a stale identifier, and does not resume the next task in the same slot.
            let next = lookUp("next", names, on: loop)
            await loop.until { names.asked == ["hung", "next"] && loop.statistics.waitingTasks == 1 }
            names.answer("hung")
            await loop.until { names.resolver.workers.threadCount == 1 }
            for _ in 0..<5 { await loop.yield() }
            #expect(loop.statistics.waitingTasks == 1)
            names.answer("next")
            try await expectAnswers([next])
        }
        await names.threadsEnd()
    }

    // covers: 271, F59
    @Test func tooManyLookupsAreRefusedAndLeaveNoWaiter() async throws {
        let names = NameServer()
        try await withLoop { loop in
            let most = names.resolver.threadLimit + SystemResolver.maxWaiting
            let tasks = (0..<most).map { lookUp("host\($0)", names, on: loop) }
            await loop.until { loop.statistics.waitingTasks == most && names.asked.count == names.resolver.threadLimit }
            #expect(names.resolver.waitingCount == SystemResolver.maxWaiting)

            for _ in 0..<3 {
                let error = await #expect(throws: EventLoopError.self) {
                    _ = try await loop.resolve(host: "refused", port: 7, by: names.resolver)
                }
                #expect(error?.code == .tooManyLookups)
                #expect(error?.description == "cannot resolve 'refused': 1000 lookups are waiting already")
                #expect(loop.statistics.waitingTasks == most)
            }

            // Cancelling one allows another.
            tasks[most - 1].cancel()
            await #expect(throws: CancellationError.self) { try await tasks[most - 1].value }
            let accepted = lookUp("accepted", names, on: loop)
            await loop.until { names.resolver.waitingCount == SystemResolver.maxWaiting }

            for task in tasks + [accepted] { task.cancel() }
            for task in tasks + [accepted] { await #expect(throws: CancellationError.self) { try await task.value } }
            #expect(names.resolver.waitingCount == 0)
            #expect(loop.statistics.waitingTasks == 0)
        }
        #expect(names.asked.count == names.resolver.threadLimit)
        names.answerAll()
        await names.threadsEnd()
    }

    // covers: 272, F59
    @Test func closedLoopIsFreedWhileItsLookupsHang() async throws {
        let names = NameServer()
        // At the end, it checks that the loop has been released.
        let tasks = try await withLoopThread { loop in
            // Not created by `createTask`, because the loop could not be closed then.
            let tasks = (0..<6).map { otherLookUp("hung\($0)", names, on: loop) }
            repeat {
                loop.stop()
                try loop.runForever()
            } while names.asked.count < names.resolver.threadLimit || loop.statistics.waitingTasks < 6
            try loop.close()
            #expect(names.resolver.waitingCount == 0)
            return tasks
        }
        for task in tasks { #expect(await asyncCode { _ = try await task.value } == .closed) }
        #expect(names.resolver.workers.threadCount == names.resolver.threadLimit)

        // The answers are dropped.
        names.answerAll()
        await names.threadsEnd()
        #expect(names.asked.count == names.resolver.threadLimit)
    }

    /// If no thread can be started, all waiting lookups fail.
    // covers: 269
    @Test func lookupWithoutAThreadIsNotAnUnknownHost() async throws {
        try await withLoop { loop in
            let resolver = SystemResolver(startThread: { _ in -EAGAIN }, ask: { _, _ in .success([]) })
            let error = await #expect(throws: EventLoopError.self) {
                _ = try await loop.resolve(host: "a.example", port: 7, by: resolver)
            }
            #expect(error?.code == .resolverFailed)
            #expect(error?.description.hasPrefix("cannot resolve 'a.example': no thread could be started: ") == true)
            #expect(resolver.workers.threadCount == 0)
            #expect(resolver.waitingCount == 0)
        }
    }

    // covers: 270
    @Test func oneThreadServesLookupsWhoseThreadsDidNotStart() async throws {
        let names = NameServer(threadLimit: 1)
        try await withLoop { loop in
            let tasks = (0..<3).map { lookUp("host\($0)", names, on: loop) }
            await loop.until { loop.statistics.waitingTasks == 3 && names.asked == ["host0"] }
            #expect(names.resolver.workers.threadCount == 1)
            #expect(names.resolver.waitingCount == 2)
            names.answerAll()
            try await expectAnswers(tasks)
            #expect(names.asked == ["host0", "host1", "host2"])
        }
        await names.threadsEnd()
    }
}
