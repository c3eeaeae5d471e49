import AsyncIO

extension Operation {
    /// The counterparts with Swift's own tasks and continuations, on the loop where that is possible.
    static let ofSwift = [
        // The usual time limit without a loop: the body races against a sleep.
        Operation("swift-group-race") { _, count in
            for number in 0..<count {
                _ = try await withThrowingTaskGroup(of: Int.self) { group in
                    group.addTask { number }
                    group.addTask {
                        try await Task.sleep(for: .seconds(60))
                        return 0
                    }
                    defer { group.cancelAll() }
                    return try await group.next()
                }
            }
        },
        Operation("swift-task-on-loop") { loop, count in
            for number in 0..<count {
                _ = await Task(executorPreference: loop) { number }.value
            }
        },
        Operation("swift-task-in-pool") { _, count in
            for number in 0..<count {
                _ = await Task { number }.value
            }
        },
        Operation("swift-task-immediate") { loop, count in
            guard #available(macOS 26, *) else { return }
            for number in 0..<count {
                _ = await Task.immediate(executorPreference: loop) { number }.value
            }
        },
        Operation("swift-continuation") { loop, count in
            for number in 0..<count {
                _ = await withCheckedContinuation { continuation in
                    loop.callSoon { continuation.resume(returning: number) }
                }
            }
        },
        Operation("swift-unsafe-continuation") { loop, count in
            for number in 0..<count {
                _ = await withUnsafeContinuation { continuation in
                    loop.callSoon { continuation.resume(returning: number) }
                }
            }
        },
    ]
}
