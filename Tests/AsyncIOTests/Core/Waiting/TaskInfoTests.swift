import AsyncIO
import AsyncIOTesting
import Testing

struct TaskInfoTests {
    // covers: 69, 89
    @Test(arguments: TestLoop.all)
    func currentTaskIsRightInInterleavedTasks(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let tasks = (0..<5).map { number in
                loop.createTask(name: "number \(number)") {
                    for _ in 0..<10 {
                        #expect(loop.currentTask?.name == "number \(number)")
                        #expect(loop.currentTask?.state == .running)
                        #expect(runningLoop === loop)
                        await loop.yield()
                        if number.isMultiple(of: 2) { try await loop.sleep(for: .nanoseconds(1)) }
                    }
                    return loop.currentTask?.id
                }
            }
            var insideACallback = [loop.currentTask]
            loop.callSoon { insideACallback = [loop.currentTask] }
            var ids: [UInt64] = []
            for task in tasks { ids.append(try #require(try await task.value)) }
            #expect(insideACallback.count == 1 && insideACallback[0] == nil)
            #expect(ids == ids.sorted() && Set(ids).count == 5)
            #expect(loop.currentTask?.name == "test")
        }
    }

    // covers: 89
    @Test(arguments: TestLoop.all)
    func currentTaskIsNilOutsideOfTheLoopsTasks(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            #expect(loop.currentTask == nil)
            #expect(runningLoop == nil)
            let unknown = try loop.runUntilComplete {
                #expect(loop.currentTask?.name == "main")
                async let child = loop.currentTask == nil
                let foreign = await Task(executorPreference: loop) { loop.currentTask == nil }.value
                return (await child, foreign)
            }
            #expect(unknown == (true, true))
            #expect(loop.currentTask == nil)
        }
    }

    @Test(arguments: TestLoop.all)
    func allTasksAreListedWithTheirStates(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let before = loop.tasks.count
            let sleeping = loop.createTask(name: "sleeping") { try await loop.sleep(for: .seconds(3600)) }
            let awaiting = loop.createTask(name: "awaiting") { try await sleeping.value }
            await loop.yield()
            let line = UInt(#line + 1)
            let new = loop.createTask {}
            let tasks = loop.tasks.dropFirst(before)
            #expect(tasks.map(\.name) == ["sleeping", "awaiting", nil])
            #expect(tasks.map(\.state) == [.waiting, .suspended, .created])
            #expect(tasks.last?.createdAt.line == line)
            #expect(tasks.last?.createdAt.fileID.description == #fileID)
            #expect(tasks.last?.description.hasPrefix("Task-\(tasks.last!.id) created, created at ") == true)
            #expect(loop.tasks.contains { $0.state == .running && $0.name == "test" })
            sleeping.cancel()
            #expect(loop.tasks.first { $0.name == "sleeping" }?.isCancelled == true)
            _ = await awaiting.result
            await new.value
            #expect(loop.tasks.count == before)
        }
    }
}
