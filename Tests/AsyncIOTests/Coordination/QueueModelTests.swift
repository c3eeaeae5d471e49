import AsyncIO
import AsyncIOTesting
import Testing

/// What a queue does, in the simplest words. A task that was chosen takes or adds its item in the next iteration.
private struct QueueModel {
    private enum Step: Equatable {
        case get(Int)
        case put(Int)
        /// The wait has ended without success.
        case end(Int, String)
    }

    private let maxSize: Int
    private(set) var items: [Int] = []
    private var getting: [Int] = []
    private var putting: [Int] = []
    private var continuing: [Step] = []
    private var promisedItems = 0
    private var promisedRoom = 0
    private var cancelled: Set<Int> = []
    private var isShutDown = false
    private(set) var results: [Int: String] = [:]

    init(maxSize: Int) { self.maxSize = maxSize }

    var freeCount: Int { items.count - promisedItems }
    var isFull: Bool { maxSize > 0 && items.count + promisedRoom >= maxSize }

    mutating func get(_ number: Int) {
        if freeCount > 0, promisedItems == 0 {
            results[number] = "got \(take())"
        } else if freeCount > 0 {
            promisedItems += 1
            continuing.append(.get(number))
        } else if isShutDown {
            results[number] = "queueShutDown"
        } else {
            getting.append(number)
        }
    }

    mutating func put(_ number: Int) {
        if isShutDown {
            results[number] = "queueShutDown"
        } else if isFull {
            putting.append(number)
        } else if promisedRoom > 0 {
            promisedRoom += 1
            continuing.append(.put(number))
        } else {
            results[number] = "put"
            add(number)
        }
    }

    mutating func getNowait() -> Int? { freeCount > 0 ? take() : nil }

    mutating func putNowait(_ item: Int) -> Bool {
        if isShutDown || isFull { return false }
        add(item)
        return true
    }

    mutating func cancel(_ number: Int) {
        cancelled.insert(number)
        if let index = getting.firstIndex(of: number) {
            getting.remove(at: index)
        } else if let index = putting.firstIndex(of: number) {
            putting.remove(at: index)
        } else {
            return
        }
        continuing.append(.end(number, "cancelled"))
    }

    mutating func shutDown(immediate: Bool) {
        isShutDown = true
        if immediate { items = [] }
        continuing += (getting + putting).map { .end($0, "queueShutDown") }
        (getting, putting) = ([], [])
    }

    mutating func iterate() {
        let steps = continuing
        continuing = []
        for step in steps {
            switch step {
            case .end(let number, let text): results[number] = text
            case .get(let number):
                promisedItems -= 1
                if cancelled.contains(number) {
                    results[number] = "cancelled"
                    promiseItem()
                } else {
                    results[number] = items.isEmpty ? "queueShutDown" : "got \(take())"
                }
            case .put(let number):
                promisedRoom -= 1
                if cancelled.contains(number) {
                    results[number] = "cancelled"
                    promiseRoom()
                } else if isShutDown {
                    results[number] = "queueShutDown"
                } else {
                    results[number] = "put"
                    add(number)
                }
            }
        }
    }

    private mutating func add(_ item: Int) {
        items.append(item)
        promiseItem()
    }

    private mutating func take() -> Int {
        defer { promiseRoom() }
        return items.removeFirst()
    }

    private mutating func promiseItem() {
        if freeCount <= 0 || getting.isEmpty { return }
        promisedItems += 1
        continuing.append(.get(getting.removeFirst()))
    }

    private mutating func promiseRoom() {
        if isFull || putting.isEmpty { return }
        promisedRoom += 1
        continuing.append(.put(putting.removeFirst()))
    }
}

struct QueueModelTests {
    // covers: 318, 319, F65
    @Test(arguments: TestLoop.all)
    func queueBehavesAsItsModel(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            for seed in 0..<UInt64(rounds(debug: 40, full: 300)) {
                try await compare(seed, on: loop)
            }
        }
    }

    private func compare(_ seed: UInt64, on loop: EventLoop) async throws {
        var random = SeededGenerator(seed: seed)
        let maxSize = Int.random(in: 0...3, using: &random)
        let queue = Queue<Int>(maxSize: maxSize)
        var model = QueueModel(maxSize: maxSize)
        let outcomes = Outcomes()
        var tasks: [Task<Void, Never>] = []
        var taken: [Int] = []
        // Some queues are shut down in the middle.
        let end = seed % 3 == 0 ? 100 : Int.max
        for step in 0..<150 {
            let number = tasks.count
            switch Int.random(in: 0..<12, using: &random) {
            case _ where step == end:
                queue.shutDown(immediate: seed % 2 == 0)
                model.shutDown(immediate: seed % 2 == 0)
            case 0..<3:
                tasks.append(
                    loop.createTask(eagerStart: true) { await outcomes.note(number) { "got \(try await queue.get())" } }
                )
                model.get(number)
            case 3..<6:
                tasks.append(
                    loop.createTask(eagerStart: true) {
                        await outcomes.note(number) {
                            try await queue.put(number)
                            return "put"
                        }
                    })
                model.put(number)
            case 6:
                let item = try? queue.getNowait()
                taken += item.map { [$0] } ?? []
                #expect(item == model.getNowait(), "seed \(seed), step \(step)")
            case 7:
                let wasPut = (try? queue.putNowait(-step)) != nil
                #expect(wasPut == model.putNowait(-step), "seed \(seed), step \(step)")
            case 8..<10 where !tasks.isEmpty:
                let cancelled = max(0, tasks.count - Int.random(in: 1...6, using: &random))
                tasks[cancelled].cancel()
                model.cancel(cancelled)
            default:
                await loop.yield()
                model.iterate()
            }
            let isSame =
                outcomes.texts == model.results && queue.count == model.freeCount && queue.isFull == model.isFull
            #expect(isSame, "seed \(seed), step \(step): \(queue)")
            if !isSame { break }
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }
}
