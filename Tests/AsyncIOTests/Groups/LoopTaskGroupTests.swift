import AsyncIO
import AsyncIOTesting
import Testing

struct LoopTaskGroupTests {
    struct Failure: Error, Equatable {
        var number = 0
    }

    @Test(arguments: TestLoop.all)
    func groupReturnsTheValueOfItsBodyWhenAllChildrenHaveEnded(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var steps: [String] = []
            let value = try await withLoopTaskGroup { group in
                group.createTask {
                    try await loop.sleep(for: .seconds(2))
                    steps.append("slow")
                    // Children create children, even after the body has ended.
                    group.createTask {
                        try await loop.sleep(for: .seconds(1))
                        steps.append("grandchild")
                    }
                }
                let quick = group.createTask(name: "quick") { () async throws -> Int in
                    try await loop.sleep(for: .seconds(1))
                    steps.append("quick")
                    return 20
                }
                let certain: Task<Int, Never> = group.createTask { 1 }
                steps.append("body")
                return try await quick.value + certain.value
            }
            #expect(value == 21)
            #expect(steps == ["body", "quick", "slow", "grandchild"])
            #expect(loop.now.nanoseconds == 3_000_000_000)
            #expect(loop.statistics.tasks == 1)
        }
    }

    @Test(arguments: TestLoop.all)
    func childrenBeginInTheNextIterationAndEagerOnesAtOnce(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var steps: [String] = []
            try await withLoopTaskGroup { group in
                group.createTask { steps.append("queued") }
                group.createTask(eagerStart: true) { steps.append("eager") }
                group.createTask(eagerStart: true) { () async throws in
                    #expect(loop.isOnLoop && group.loop === loop)
                    steps.append("eager, may throw")
                }
                steps.append("body")
            }
            #expect(steps == ["eager", "eager, may throw", "body", "queued"])
        }
    }

    // covers: 82
    @Test(arguments: TestLoop.all)
    func errorOfAChildCancelsTheOthersAndIsThrownWhenAllHaveEnded(kind: TestLoop) async throws {
        try await withVirtualLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            var reports: [String] = []
            var steps: [String] = []
            loop.setExceptionHandler { _, context in reports.append(context.description) }
            let error = await #expect(throws: Failure.self) {
                try await withLoopTaskGroup { group in
                    for number in 1...3 {
                        group.createTask(name: "child \(number)") {
                            do { try await loop.sleep(for: .seconds(number)) } catch {
                                steps.append("cleans up \(number)")
                                // An error during the clean-up is reported as well.
                                try? await loop.sleep(for: .seconds(5))
                            }
                            throw Failure(number: number)
                        }
                    }
                    do { try await loop.sleep(for: .seconds(3600)) } catch {
                        steps.append("body \(error is CancellationError)")
                        throw error
                    }
                }
            }
            #expect(error == Failure(number: 1))
            #expect(steps.sorted() == ["body true", "cleans up 2", "cleans up 3"])
            #expect(loop.now.nanoseconds == 1_000_000_000)
            #expect(reports.count == 2)
            #expect(reports.allSatisfy { $0.hasPrefix("Another task of a failed task group failed") })
            // The caller itself was not cancelled.
            #expect(!Task.isCancelled && loop.statistics.tasks == 1)
            loop.setExceptionHandler(nil)
        }
    }

    // covers: 82
    @Test(arguments: TestLoop.all)
    func errorOfTheBodyCancelsTheChildren(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var wasCancelled = false
            await #expect(throws: Failure.self) {
                try await withLoopTaskGroup { group in
                    group.createTask {
                        do { try await loop.sleep(for: .seconds(3600)) } catch {
                            await loop.yield()
                            wasCancelled = error is CancellationError
                        }
                    }
                    await loop.yield()
                    throw Failure()
                }
            }
            #expect(wasCancelled)
        }
    }

    /// A body that awaits a child and rethrows its error is not a second failure.
    @Test(arguments: TestLoop.all)
    func errorThatTheBodyRethrowsIsNotReported(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            _ = await #expect(throws: Failure.self) {
                try await withLoopTaskGroup { group in
                    let task = group.createTask {
                        await loop.yield()
                        throw Failure()
                    }
                    // Two tasks that wait for the first one.
                    group.createTask { try await task.value }
                    try await task.value
                }
            }
        }
    }

    // covers: 84
    @Test(arguments: TestLoop.all)
    func groupThatHasFailedOrEndedRejectsChildren(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var group: LoopTaskGroup?
            await #expect(throws: Failure.self) {
                try await withLoopTaskGroup { failing in
                    failing.createTask {
                        do { try await loop.sleep(for: .seconds(3600)) } catch {
                            let late = failing.createTask { () async throws in _ = Issue.record("it was started") }
                            #expect(await asyncCode { try await late.value } == .invalidState)
                            // A child that cannot fail runs, cancelled, and is awaited.
                            failing.createTask {
                                await loop.yield()
                                #expect(Task.isCancelled)
                            }
                        }
                    }
                    await loop.yield()
                    group = failing
                    throw Failure()
                }
            }
            let ended = try #require(group)
            let late = ended.createTask { () async throws in _ = Issue.record("it was started") }
            #expect(await asyncCode { try await late.value } == .invalidState)
            #expect(loop.statistics.unhandledErrors == 1)
            let isCancelled = await ended.createTask { Task.isCancelled }.value
            #expect(isCancelled)
            #expect(!ended.cancel())
        }
    }

    @Test(arguments: TestLoop.all)
    func childrenMayShareObjects(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                try await withLoopTaskGroup { group in
                    let lines: Future<String> = loop.createFuture()
                    group.createTask { try lines.setResult(try await reader.readLine() ?? "") }
                    group.createTask { try await writer.write(try await lines.value + "\n") }
                }
            }
            let port = try #require(server.localAddresses.first?.port)
            let line = try await loop.withConnection(host: "127.0.0.1", port: port) { reader, writer in
                try await writer.write("hello\n")
                return try await reader.readLine()
            }
            #expect(line == "hello")
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(arguments: TestLoop.all)
    func groupsCanBeNested(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var steps: [String] = []
            try await withLoopTaskGroup { outer in
                outer.createTask {
                    do {
                        try await withLoopTaskGroup { inner in
                            inner.createTask { try await loop.sleep(for: .seconds(3600)) }
                            inner.createTask { throw Failure() }
                        }
                    } catch {
                        steps.append("\(error is Failure)")
                    }
                }
                outer.createTask {
                    for _ in 0..<20 { await loop.yield() }
                    steps.append("\(Task.isCancelled)")
                }
            }
            #expect(steps == ["true", "false"])
        }
    }

    // covers: 90
    @Test(arguments: TestLoop.all)
    func bodyAndChildrenInheritTaskLocalValues(kind: TestLoop) async throws {
        try await withLoop(kind) { _ in
            let values = try await Local.$name.withValue("outer") {
                try await withLoopTaskGroup { group in
                    let child = group.createTask { Local.name }
                    return [Local.name, await child.value]
                }
            }
            #expect(values == ["outer", "outer"])
        }
    }

    @Test func groupNeedsARunningLoop() async throws {
        #expect(await asyncCode { try await withLoopTaskGroup { _ in } } == .notRunning)
    }
}

private enum Local {
    @TaskLocal static var name = "none"
}
