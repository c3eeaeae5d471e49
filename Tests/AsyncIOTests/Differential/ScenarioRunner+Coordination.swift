import AsyncIO

/// The locks, events, queues and so on of a scenario, by name. A name has one of them.
struct ScenarioObjects {
    var locks: [String: Lock] = [:]
    var events: [String: Event] = [:]
    var conditions: [String: Condition] = [:]
    var semaphores: [String: Semaphore] = [:]
    var barriers: [String: Barrier] = [:]
    var queues: [String: Queue<String>] = [:]
}

extension ScenarioRunner {
    private func make(_ operation: Scenario.Operation) throws {
        let id = operation.id ?? ""
        let count = operation.count
        switch operation.kind {
        case "lock": objects.locks[id] = Lock()
        case "event": objects.events[id] = Event()
        case "condition": objects.conditions[id] = Condition()
        case "semaphore": objects.semaphores[id] = Semaphore(count ?? 1)
        case "boundedSemaphore": objects.semaphores[id] = BoundedSemaphore(count ?? 1)
        case "barrier": objects.barriers[id] = Barrier(parties: count ?? 1)
        case "queue": objects.queues[id] = Queue(maxSize: count ?? 0)
        case "lifoQueue": objects.queues[id] = LifoQueue(maxSize: count ?? 0)
        case "priorityQueue": objects.queues[id] = PriorityQueue(maxSize: count ?? 0)
        default: throw ScenarioMistake(text: "no kind \(operation.kind ?? "")")
        }
    }

    /// Returns false if it is another kind of operation.
    func performOnObject(_ operation: Scenario.Operation) throws -> Bool {
        let id = operation.id ?? ""
        do {
            switch operation.op {
            case "make": try make(operation)
            case "release":
                try objects.locks[id]?.release()
                try objects.conditions[id]?.release()
                try objects.semaphores[id]?.release()
            case "set": objects.events[id]?.set()
            case "clear": objects.events[id]?.clear()
            case "notify": try objects.conditions[id]?.notify(operation.count ?? 1)
            case "notifyAll": try objects.conditions[id]?.notifyAll()
            case "putNow": try objects.queues[id]?.putNowait(operation.text ?? "")
            case "getNow":
                if let item = try objects.queues[id]?.getNowait() { line("\(id) gave \(item)", of: id) }
            case "taskDone": try objects.queues[id]?.taskDone()
            default: return show(operation, id)
            }
        } catch let error as EventLoopError {
            guard let reason = reason(error) else { throw error }
            line("\(id) \(reason)", of: id)
        }
        return true
    }

    private func show(_ operation: Scenario.Operation, _ id: String) -> Bool {
        switch operation.op {
        case "showLocked":
            let isLocked =
                objects.locks[id]?.isLocked ?? objects.conditions[id]?.isLocked ?? objects.semaphores[id]?.isLocked
            line("\(id) \(isLocked == true ? "locked" : "not locked")", of: id)
        case "showSet": line("\(id) \(objects.events[id]?.isSet == true ? "set" : "not set")", of: id)
        case "showQueue":
            guard let queue = objects.queues[id] else { return false }
            line("\(id) holds \(queue.count)\(queue.isFull ? ", full" : "")\(queue.isEmpty ? ", empty" : "")", of: id)
        case "showBarrier":
            guard let barrier = objects.barriers[id] else { return false }
            let broken = barrier.isBroken ? ", broken" : ""
            line("\(id) \(barrier.waitingCount) of \(barrier.parties) wait\(broken)", of: id)
        default: return false
        }
        return true
    }

    func takeOnObject(_ step: Scenario.Operation) async throws -> String? {
        let id = step.id ?? ""
        switch step.op {
        case "acquire":
            try await objects.locks[id]?.acquire()
            try await objects.conditions[id]?.acquire()
            try await objects.semaphores[id]?.acquire()
            return "acquired \(id)"
        case "waitFor":
            try await objects.events[id]?.wait()
            try await objects.conditions[id]?.wait()
            return "waited for \(id)"
        case "passBarrier": return "passed \(id) with number \(try await objects.barriers[id]?.wait() ?? -1)"
        case "breakBarrier":
            objects.barriers[id]?.abort()
            return "broke \(id)"
        case "resetBarrier":
            objects.barriers[id]?.reset()
            return "reset \(id)"
        case "put":
            try await objects.queues[id]?.put(step.text ?? "")
            return "put \(step.text ?? "") into \(id)"
        case "get": return "got \(try await objects.queues[id]?.get() ?? "nothing") from \(id)"
        case "joinQueue":
            try await objects.queues[id]?.join()
            return "joined \(id)"
        default: return nil
        }
    }
}
