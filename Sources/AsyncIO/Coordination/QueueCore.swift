/// The part of a queue that does not depend on the type of its items, so that its code is compiled once.
///
/// A task that waited and was chosen takes or adds its item itself when it continues. Until then an item, or room for
/// one, is *promised* to it, which no other task gets. So a task that is cancelled after it was chosen loses no item:
/// the promise goes to the next task.
@usableFromInline final class QueueCore {
    // Each of these is accessed within one statement, so the dynamic check for overlapping accesses could find nothing.
    @exclusivity(unchecked) var binding = LoopBinding()
    @exclusivity(unchecked) private var getters = WaitQueue()
    @exclusivity(unchecked) private var putters = WaitQueue()
    @exclusivity(unchecked) private var joiners = WaitQueue()
    /// The number of items in the queue.
    @exclusivity(unchecked) private var storedCount = 0
    @exclusivity(unchecked) private var promisedItems = 0
    @exclusivity(unchecked) private var promisedRoom = 0
    @exclusivity(unchecked) private(set) var unfinishedCount = 0
    @exclusivity(unchecked) private(set) var isShutDown = false
    /// Zero or less for no limit.
    let maxSize: Int

    init(maxSize: Int) { self.maxSize = maxSize }

    /// The number of items that are not promised to a task.
    var freeCount: Int { storedCount &- promisedItems }

    /// Whether an item would have to wait.
    var isFull: Bool { maxSize > 0 && storedCount &+ promisedRoom >= maxSize }

    // MARK: Getting

    /// Whether a task may take an item at once. The caller must do so then, and call ``took()``. Throws as
    /// `LoopBinding.enter` does, and `.queueShutDown`.
    @usableFromInline func mayGet() throws(EventLoopError) -> Bool {
        if binding.loop == nil { try binding.bind() }
        guard try binding.enter("Queue.get") else { return false }
        return try mayGetHere()
    }

    private func mayGetHere() throws(EventLoopError) -> Bool {
        // Behind the tasks that were chosen already, so that a task that gets one item after another leaves some to the
        // others.
        if freeCount > 0 { return promisedItems == 0 }
        if isShutDown { throw .queueShutDown }
        return false
    }

    /// Throws unless an item may be taken without waiting.
    @usableFromInline func checkGet() throws(EventLoopError) {
        try binding.check("Queue.getNowait")
        if freeCount > 0 { return }
        throw isShutDown ? .queueShutDown : .queueEmpty
    }

    /// Waits until the task may take an item. Called on the loop.
    func waitForItem(on loop: EventLoop, _ record: TaskRecord?) async throws {
        if loop.isClosed { throw EventLoopError.closed }
        if try mayGetHere() { return }
        let end: (wasChosen: Bool, error: (any Error)?)
        if freeCount > 0 {
            promisedItems &+= 1
            end = await loop.waitBehindChosen(record)
        } else {
            let token = getters.add(on: loop)
            end = await loop.waitToBeChosen(token, record)
            if !end.wasChosen { getters.forget(token, on: loop) }
        }
        if end.wasChosen { promisedItems &-= 1 }
        if let error = end.error {
            if end.wasChosen { promiseItem() }
            throw explained(error)
        }
        // The items may have been discarded by a shut-down.
        if storedCount == 0 { throw EventLoopError.queueShutDown }
    }

    /// Called after an item was taken.
    @usableFromInline func took() {
        storedCount &-= 1
        promiseRoom()
    }

    /// Promises an item to the first task that waits for one, if there is one left.
    private func promiseItem() {
        if freeCount > 0, getters.resumeFirst(on: binding.loop) { promisedItems &+= 1 }
    }

    // MARK: Putting

    /// Whether a task may add an item at once. The caller must do so then, and call ``put()``. Throws as
    /// `LoopBinding.enter` does, and `.queueShutDown`.
    @usableFromInline func mayPut() throws(EventLoopError) -> Bool {
        if binding.loop == nil { try binding.bind() }
        guard try binding.enter("Queue.put") else { return false }
        return try mayPutHere()
    }

    private func mayPutHere() throws(EventLoopError) -> Bool {
        if isShutDown { throw .queueShutDown }
        // Behind the tasks that were chosen already, so that items keep the order of the calls.
        return promisedRoom == 0 && !isFull
    }

    /// Throws unless an item may be added without waiting.
    @usableFromInline func checkPut() throws(EventLoopError) {
        try binding.check("Queue.putNowait")
        if isShutDown { throw .queueShutDown }
        if isFull { throw .queueFull(maxSize) }
    }

    /// Waits until the task may add an item. Called on the loop.
    func waitForRoom(on loop: EventLoop, _ record: TaskRecord?) async throws {
        if loop.isClosed { throw EventLoopError.closed }
        if try mayPutHere() { return }
        let end: (wasChosen: Bool, error: (any Error)?)
        if !isFull {
            promisedRoom &+= 1
            end = await loop.waitBehindChosen(record)
        } else {
            let token = putters.add(on: loop)
            end = await loop.waitToBeChosen(token, record)
            if !end.wasChosen { putters.forget(token, on: loop) }
        }
        if end.wasChosen { promisedRoom &-= 1 }
        if let error = end.error {
            if end.wasChosen { promiseRoom() }
            throw explained(error)
        }
        if isShutDown { throw EventLoopError.queueShutDown }
    }

    /// Called after an item was added.
    @usableFromInline func put() {
        storedCount &+= 1
        unfinishedCount &+= 1
        promiseItem()
    }

    /// Promises room to the first task that waits for it, if there is some left.
    private func promiseRoom() {
        if !isFull, putters.resumeFirst(on: binding.loop) { promisedRoom &+= 1 }
    }

    // MARK: Finishing

    func taskDone() throws(EventLoopError) {
        try binding.check("Queue.taskDone")
        if unfinishedCount == 0 {
            throw EventLoopError(.invalidState, "Queue.taskDone was called more often than items were added")
        }
        finish(1)
    }

    private func finish(_ count: Int) {
        unfinishedCount -= min(count, unfinishedCount)
        if unfinishedCount == 0 { joiners.resumeAll(on: binding.loop) }
    }

    func join() async throws {
        if binding.loop == nil { try binding.bind() }
        if try binding.enter("Queue.join"), unfinishedCount == 0 { return }
        guard let loop = binding.loop else { throw EventLoopError.notRunning }
        try await loop.withAffinity("Queue.join") { record in
            if unfinishedCount == 0 { return }
            if loop.isClosed { throw EventLoopError.closed }
            let token = joiners.add(on: loop)
            let (wasChosen, error) = await loop.waitToBeChosen(token, record)
            guard let error else { return }
            if !wasChosen { joiners.forget(token, on: loop) }
            throw error
        }
    }

    /// Ends the waits that cannot succeed any more. If `discarding`, the caller has removed all items.
    func shutDown(discarding: Bool) {
        isShutDown = true
        if discarding {
            let count = storedCount
            storedCount = 0
            finish(count)
        }
        // A task that waits and was not chosen finds no item and no room.
        getters.resumeAll(.closed, on: binding.loop)
        putters.resumeAll(.closed, on: binding.loop)
    }

    /// The error of a wait that was ended, where a shut-down looks like the close of the loop.
    private func explained(_ error: any Error) -> any Error {
        guard isShutDown, (error as? EventLoopError)?.code == .closed, binding.loop?.isClosed == false else {
            return error
        }
        return EventLoopError.queueShutDown
    }

    // MARK: Description

    /// The size, the limit, and the numbers of waiting tasks and of unfinished items.
    var state: String {
        guard binding.isUsable else { return "of another loop" }
        var text = storedCount == 1 ? "1 item" : "\(storedCount) items"
        if maxSize > 0 { text += " of \(maxSize)" }
        let (getters, putters) = (getters.count(on: binding.loop), putters.count(on: binding.loop))
        if getters > 0 { text += ", \(getters) getting" }
        if putters > 0 { text += ", \(putters) putting" }
        if unfinishedCount > 0 { text += ", \(unfinishedCount) unfinished" }
        return isShutDown ? text + ", shut down" : text
    }
}
