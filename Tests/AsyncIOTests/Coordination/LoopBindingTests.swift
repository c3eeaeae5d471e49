import AsyncIO
import AsyncIOTesting
import Testing

/// Locks, queues and the others belong to the loop on which they were used first.
struct LoopBindingTests {
    /// One object of each kind.
    private struct Objects: @unchecked Sendable {
        let lock = Lock()
        let semaphore = Semaphore()
        let event = Event()
        let condition = Condition()
        let barrier = Barrier(parties: 1)
        let queue = Queue<Int>()

        /// The operations that wait, if they have to.
        var waiting: [() async throws -> Void] {
            [
                { try await lock.acquire() }, { try await lock.withLock {} }, { try await semaphore.acquire() },
                { try await semaphore.withPermit {} }, { try await event.wait() }, { try await condition.wait() },
                { try await condition.acquire() }, { _ = try await barrier.wait() }, { try await queue.put(1) },
                { _ = try await queue.get() }, { try await queue.join() },
            ]
        }

        var throwing: [() throws -> Void] {
            [
                { try lock.release() }, { try semaphore.release() }, { try condition.notify() },
                { try condition.notifyAll() }, { try queue.putNowait(1) }, { _ = try queue.getNowait() },
                { try queue.taskDone() },
            ]
        }

        /// Uses each object once, so that it belongs to the running loop.
        func bind() {
            _ = (lock.isLocked, semaphore.isLocked, event.isSet, condition.isLocked, barrier.isBroken, queue.isEmpty)
        }
    }

    @Test(arguments: TestLoop.all)
    func anotherLoopIsRejected(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let objects = Objects()
            try loop.runUntilComplete { objects.bind() }
            // On the same thread, so that only the loop differs.
            let other = try kind.makeLoop()
            let codes = try other.runUntilComplete {
                var codes: [EventLoopError.Code?] = []
                for operation in objects.waiting { codes.append(await asyncCode(operation)) }
                for operation in objects.throwing { codes.append(code(operation)) }
                return codes
            }
            #expect(codes == Array(repeating: .anotherLoopRunning, count: 18))
            let texts = try other.runUntilComplete { "\(objects.lock) \(objects.event) \(objects.queue)" }
            #expect(texts == "<Lock of another loop> <Event of another loop> <Queue<Int> of another loop>")
            try other.close()
            #expect(!objects.lock.isLocked && objects.queue.isEmpty)
        }
    }

    @Test(arguments: TestLoop.all)
    func anotherThreadIsRejected(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let objects = Objects()
            objects.bind()
            let codes = try OtherThread.run { objects.throwing.map { code($0) } }
            #expect(codes == Array(repeating: .wrongThread, count: 7))
        }
    }

    @Test(arguments: TestLoop.all)
    func taskOfThePoolHops(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let objects = Objects()
            objects.bind()
            try await objects.lock.acquire()
            let outcomes = Task.detached {
                var isOnLoop = try await objects.lock.withLock { loop.isOnLoop }
                try await objects.event.wait()
                try await objects.queue.put(7)
                isOnLoop = try await objects.semaphore.withPermit { loop.isOnLoop } && isOnLoop
                try await objects.condition.acquire()
                try await objects.condition.wait()
                return (isOnLoop, try await objects.barrier.wait())
            }
            while loop.statistics.waitingTasks == 0 { await loop.yield() }
            try objects.lock.release()
            while objects.lock.isLocked || loop.statistics.waitingTasks == 0 { await loop.yield() }
            objects.event.set()
            let item = try await objects.queue.get()
            while "\(objects.condition)" != "<Condition unlocked, 1 waiting>" { await loop.yield() }
            try await objects.condition.withLock { try objects.condition.notify() }
            let (isOnLoop, index) = try await outcomes.value
            #expect(isOnLoop && item == 7 && index == 0 && objects.condition.isLocked)
            #expect(loop.statistics.hops > 0)
        }
    }

    @Test(arguments: TestLoop.all)
    func withoutALoopNothingWaits(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let objects = Objects()
            let codes = await Task.detached {
                var codes: [EventLoopError.Code?] = []
                for operation in objects.waiting { codes.append(await asyncCode(operation)) }
                return codes
            }.value
            #expect(codes == Array(repeating: .notRunning, count: 11))
            // What does not wait needs no loop, and does not choose one.
            try OtherThread.run {
                try objects.queue.putNowait(1)
                objects.event.set()
            }
            try await objects.event.wait()
            let item = try await objects.queue.get()
            #expect(item == 1)
        }
    }

    @Test(arguments: TestLoop.all)
    func uncontendedOperationsDoNotSuspend(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let objects = Objects()
            let before = loop.statistics
            for _ in 0..<100 {
                try await objects.lock.acquire()
                try objects.lock.release()
                try await objects.lock.withLock {}
                try await objects.semaphore.withPermit {}
                objects.event.set()
                try await objects.event.wait()
                _ = try await objects.barrier.wait()
                try await objects.queue.put(1)
                _ = try await objects.queue.get()
                try objects.queue.taskDone()
                try await objects.queue.join()
            }
            let after = loop.statistics
            #expect(after.suspensions == before.suspensions && after.ticks == before.ticks && after.hops == 0)
        }
    }
}
