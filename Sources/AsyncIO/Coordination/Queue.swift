/// A queue through which tasks of one loop pass items: first in, first out. asyncio: `Queue`.
///
/// ```swift
/// let jobs = Queue<Job>(maxSize: 10)
/// // Producers; they wait while the queue is full:
/// try await jobs.put(job)
/// // Consumers:
/// for try await job in jobs.items {
///     await perform(job)
///     try jobs.taskDone()
/// }
/// // At the end:
/// try await jobs.join()
/// jobs.shutDown()
/// ```
///
/// Tasks that wait get items, or add theirs, in the order in which they called. When an item arrives for a task that
/// waits, it is reserved for that task until the task has continued: no other one can take it, and `count` does not
/// include it. If the task is cancelled before that, the item goes to the next one, so no item is lost.
///
/// - Thread: as with ``Lock``.
public class Queue<Element>: CustomStringConvertible {
    @usableFromInline final let core: QueueCore
    // With the dynamic check for overlapping accesses, because the order of a priority queue is a function of the user.
    @usableFromInline final var contents: QueueItems<Element>

    /// Creates an empty queue for at most `maxSize` items; zero or less for any number.
    public convenience init(maxSize: Int = 0) {
        self.init(maxSize: maxSize, .firstIn)
    }

    init(maxSize: Int, _ order: QueueItems<Element>.Order) {
        core = QueueCore(maxSize: maxSize)
        contents = QueueItems(order: order)
    }

    // MARK: Items

    /// Waits until there is room, and adds an item. asyncio: `put`.
    ///
    /// Throws `.queueShutDown` (asyncio: `QueueShutDown`) after ``shutDown(immediate:)``; `CancellationError` if the
    /// task is cancelled before it could add the item; `.closed`; `.anotherLoopRunning`; and `.notRunning` where no
    /// loop runs before the first use. It does not wait if there is room, even in a cancelled task.
    @inlinable public final func put(_ item: Element) async throws {
        if try core.mayPut() { return store(item) }
        try await putWaiting(item)
    }

    /// Adds an item if there is room. asyncio: `put_nowait`.
    ///
    /// Throws `.queueFull` (asyncio: `QueueFull`), `.queueShutDown`, `.wrongThread` and `.anotherLoopRunning`.
    @inlinable public final func putNowait(_ item: Element) throws(EventLoopError) {
        try core.checkPut()
        store(item)
    }

    /// Waits for an item, and takes it. asyncio: `get`.
    ///
    /// Throws `.queueShutDown` when the queue was shut down and is empty; `CancellationError` if the task is cancelled
    /// before it could take an item; `.closed`; `.anotherLoopRunning`; and `.notRunning` where no loop runs before the
    /// first use. It does not wait if there is an item, even in a cancelled task.
    @inlinable public final func get() async throws -> Element {
        if try core.mayGet() { return take() }
        return try await getWaiting()
    }

    /// Takes an item if there is one that is not reserved for another task. asyncio: `get_nowait`.
    ///
    /// Throws `.queueEmpty` (asyncio: `QueueEmpty`), `.queueShutDown`, `.wrongThread` and `.anotherLoopRunning`.
    @inlinable public final func getNowait() throws(EventLoopError) -> Element {
        try core.checkGet()
        return take()
    }

    /// The items as a sequence, for `for try await`. It ends when the queue was shut down and is empty, and throws what
    /// ``get()`` throws otherwise. Several tasks may iterate, each over a sequence of its own.
    public final var items: LoopSequence<Element, any Error> {
        LoopSequence(of: self) { queue in
            do {
                // SAFETY: the sequence was created with this queue.
                return try await unsafeDowncast(queue, to: Queue<Element>.self).get()
            } catch let error as EventLoopError where error.code == .queueShutDown {
                return nil
            }
        }
    }

    @inlinable @inline(__always) final func store(_ item: Element) {
        contents.add(item)
        core.put()
    }

    @inlinable @inline(__always) final func take() -> Element {
        let item = contents.take()
        core.took()
        return item
    }

    @usableFromInline final func putWaiting(_ item: Element) async throws {
        guard let loop = core.binding.loop else { throw EventLoopError.notRunning }
        try await loop.withAffinity("Queue.put") { record in
            try await core.waitForRoom(on: loop, record)
            store(item)
        }
    }

    @usableFromInline final func getWaiting() async throws -> Element {
        guard let loop = core.binding.loop else { throw EventLoopError.notRunning }
        return try await loop.withAffinity("Queue.get") { record in
            try await core.waitForItem(on: loop, record)
            return take()
        }
    }

    // MARK: State

    /// The greatest number of items; zero or less for no limit. asyncio: `maxsize`.
    public final var maxSize: Int { core.maxSize }

    /// The number of items that ``getNowait()`` can take. asyncio: `qsize`.
    public final var count: Int {
        core.binding.require("Queue.count")
        return core.freeCount
    }

    /// Whether ``getNowait()`` finds no item. asyncio: `empty`.
    public final var isEmpty: Bool { count == 0 }

    /// Whether ``putNowait(_:)`` finds no room. asyncio: `full`.
    public final var isFull: Bool {
        core.binding.require("Queue.isFull")
        return core.isFull
    }

    // MARK: The end

    /// Reports that an item that was taken has been processed. asyncio: `task_done`.
    ///
    /// Throws `.invalidState` if it is called more often than items were added (asyncio: `ValueError`), `.wrongThread`
    /// and `.anotherLoopRunning`.
    public final func taskDone() throws(EventLoopError) {
        try core.taskDone()
    }

    /// Waits until ``taskDone()`` has been called for every item that was added. asyncio: `join`.
    /// Throws `CancellationError`, `.closed`, `.anotherLoopRunning`, and `.notRunning` as ``get()`` does.
    public final func join() async throws {
        try await core.join()
    }

    /// Shuts the queue down: no item can be added any more, and getting fails when it is empty. asyncio (3.13):
    /// `shutdown`.
    ///
    /// Tasks that wait to add an item, or for an item that can no longer come, throw `.queueShutDown`. If `immediate`,
    /// the items are discarded and count as done. Idempotent.
    public final func shutDown(immediate: Bool = false) {
        core.binding.require("Queue.shutDown")
        if !immediate { return core.shutDown(discarding: false) }
        var discarded = QueueItems<Element>(order: contents.order)
        swap(&contents, &discarded)
        // The items are released afterwards, because their releases may use the queue.
        core.shutDown(discarding: true)
    }

    /// The class, the number of items, the limit, and the tasks that wait, such as
    /// `<Queue 10 items of 10, 2 putting, 12 unfinished>`.
    public final var description: String { "<\(Self.self) \(core.state)>" }
}

/// A queue from which the item is taken that was added last. asyncio: `LifoQueue`.
public final class LifoQueue<Element>: Queue<Element> {
    /// Creates an empty queue for at most `maxSize` items; zero or less for any number.
    public init(maxSize: Int = 0) {
        super.init(maxSize: maxSize, .lastIn)
    }
}

/// A queue from which the least item is taken; equal ones in the order in which they were added. asyncio:
/// `PriorityQueue`, with any order of equal items.
public final class PriorityQueue<Element>: Queue<Element> {
    /// Creates an empty queue for at most `maxSize` items; zero or less for any number.
    ///
    /// - Parameter isBefore: Whether the first item is taken before the second one. It must not use the queue.
    public init(maxSize: Int = 0, by isBefore: @escaping (Element, Element) -> Bool) {
        super.init(maxSize: maxSize, .sorted(isBefore))
    }

    /// Creates an empty queue whose items are ordered by `<`.
    public convenience init(maxSize: Int = 0) where Element: Comparable {
        self.init(maxSize: maxSize, by: <)
    }
}

@available(*, unavailable, message: "a queue belongs to its loop; other threads add items in callSoonThreadsafe")
extension Queue: Sendable {}
