import AsyncIO
import AsyncIOTesting
import Testing

/// Cancelled tasks, and queues that are shut down.
struct QueueEndingTests {
    // covers: 319, F65
    @Test(arguments: TestLoop.all, CancellationTests.Kind.onTheLoop)
    func cancelledGetterLosesNoItem(loopKind: TestLoop, kind: CancellationTests.Kind) async throws {
        try await withLoop(loopKind) { loop in
            // Every set of three getters that is cancelled, before the items come or after that.
            for isPutFirst in [false, true] {
                for cancelled in 0..<8 {
                    let queue = Queue<Int>()
                    let tasks = (0..<3).map { _ in kind.start(on: loop) { try await queue.get() } }
                    while loop.statistics.waitingTasks < 3 { await loop.yield() }
                    let put = { for number in 0..<3 { try queue.putNowait(number) } }
                    if isPutFirst { try put() }
                    for number in 0..<3 where cancelled & 1 << number != 0 { tasks[number].cancel() }
                    if !isPutFirst { try put() }
                    var taken: [Int] = []
                    for task in tasks {
                        switch await task.result {
                        case .success(let item): taken.append(item)
                        case .failure(let error): #expect(error is CancellationError)
                        }
                    }
                    #expect(taken.count == 3 - cancelled.nonzeroBitCount)
                    while !queue.isEmpty { taken.append(try queue.getNowait()) }
                    #expect(taken == [0, 1, 2])
                }
            }
        }
    }

    // covers: 319, F65
    @Test(arguments: TestLoop.all, CancellationTests.Kind.onTheLoop)
    func cancelledPutterLeavesItsRoomToTheNext(loopKind: TestLoop, kind: CancellationTests.Kind) async throws {
        try await withLoop(loopKind) { loop in
            for isGetFirst in [false, true] {
                for cancelled in 0..<8 {
                    let queue = Queue<Int>(maxSize: 1)
                    try queue.putNowait(-1)
                    let tasks = (0..<3).map { number in kind.start(on: loop) { try await queue.put(number) } }
                    while loop.statistics.waitingTasks < 3 { await loop.yield() }
                    var taken: [Int] = []
                    if isGetFirst { taken.append(try queue.getNowait()) }
                    for number in 0..<3 where cancelled & 1 << number != 0 { tasks[number].cancel() }
                    if !isGetFirst { taken.append(try queue.getNowait()) }
                    for _ in 0..<3 - cancelled.nonzeroBitCount { taken.append(try await queue.get()) }
                    for number in 0..<3 {
                        let wasCancelled = await isCancelled(tasks[number])
                        #expect(wasCancelled == (cancelled & 1 << number != 0))
                    }
                    #expect(taken == [-1] + (0..<3).filter { cancelled & 1 << $0 == 0 } && queue.isEmpty)
                    try queue.putNowait(0)
                }
            }
        }
    }

    // covers: 319
    @Test(arguments: TestLoop.all)
    func manyCancelledGettersAreForgotten(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<Int>()
            for _ in 0..<20 {
                let tasks = (0..<50).map { _ in loop.createTask { try await queue.get() } }
                await loop.yield()
                for task in tasks { task.cancel() }
                for task in tasks { _ = await task.result }
            }
            #expect("\(queue)" == "<Queue<Int> 0 items>")
            try queue.putNowait(1)
            let item = try await queue.get()
            #expect(item == 1)
        }
    }

    @Test(arguments: TestLoop.all)
    func timeLimitAndAnItemInTheSameIterationLoseNothing(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let queue = Queue<Int>()
            for number in 0..<20 {
                // Both timers are due at the same time.
                loop.callLater(after: .milliseconds(10)) { try queue.putNowait(number) }
                let item = try? await withTimeout(.milliseconds(10)) { try await queue.get() }
                if item == nil {
                    let stored = try await queue.get()
                    #expect(stored == number)
                } else {
                    #expect(item == number && queue.isEmpty)
                }
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func shutDownLetsTheItemsBeTaken(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<Int>(maxSize: 2)
            let outcomes = Outcomes()
            try queue.putNowait(1)
            try queue.putNowait(2)
            loop.createTask { await outcomes.note(0) { "\(try await queue.put(3))" } }
            await loop.yield()
            queue.shutDown()
            queue.shutDown()
            await loop.yield()
            #expect(outcomes.texts == [0: "queueShutDown"])
            #expect(code { try queue.putNowait(3) } == .queueShutDown)
            #expect(await asyncCode { try await queue.put(3) } == .queueShutDown)
            #expect("\(queue)" == "<Queue<Int> 2 items of 2, 2 unfinished, shut down>")
            var items: [Int] = []
            for try await item in queue.items { items.append(item) }
            #expect(items == [1, 2])
            #expect(code { _ = try queue.getNowait() } == .queueShutDown)
            #expect(await asyncCode { _ = try await queue.get() } == .queueShutDown)
            // They still have to be done.
            let joining = loop.createTask { try await queue.join() }
            await loop.yield()
            try queue.taskDone()
            try queue.taskDone()
            try await joining.value
        }
    }

    @Test(arguments: TestLoop.all)
    func shutDownEndsTheWaitsOfGetters(kind: TestLoop) async throws {
        for immediate in [false, true] {
            try await withLoop(kind) { loop in
                let queue = Queue<Int>()
                let outcomes = Outcomes()
                for number in 0..<3 { loop.createTask { await outcomes.note(number) { "\(try await queue.get())" } } }
                await loop.yield()
                // The item belongs to the first one, unless it is discarded.
                try queue.putNowait(7)
                queue.shutDown(immediate: immediate)
                for _ in 0..<3 { await loop.yield() }
                let first = immediate ? "queueShutDown" : "7"
                #expect(outcomes.texts == [0: first, 1: "queueShutDown", 2: "queueShutDown"])
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func immediateShutDownDiscardsTheItems(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let released = Counter()
            let queue = Queue<Counted>(maxSize: 2)
            for _ in 0..<2 { try queue.putNowait(Counted(released)) }
            let outcomes = Outcomes()
            loop.createTask { await outcomes.note(0) { "\(try await queue.put(Counted(released)))" } }
            loop.createTask { await outcomes.note(1) { "\(try await queue.join())" } }
            await loop.yield()
            // One item was taken and is not done.
            _ = try queue.getNowait()
            queue.shutDown(immediate: true)
            for _ in 0..<3 { await loop.yield() }
            #expect(outcomes.texts == [0: "queueShutDown"] && queue.isEmpty && released.value == 3)
            try queue.taskDone()
            await loop.yield()
            #expect(outcomes[1] == "()")
            #expect(code { _ = try queue.getNowait() } == .queueShutDown)
        }
    }

    @Test(arguments: TestLoop.all)
    func itemMayUseTheQueueWhenItIsReleased(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let queue = Queue<ReleaseHook>()
            var codes: [EventLoopError.Code?] = []
            for _ in 0..<3 {
                try queue.putNowait(ReleaseHook { codes.append(code { _ = try queue.getNowait() }) })
            }
            queue.shutDown(immediate: true)
            #expect(codes == [.queueShutDown, .queueShutDown, .queueShutDown])
        }
    }
}
