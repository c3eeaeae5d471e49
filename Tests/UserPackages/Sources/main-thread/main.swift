import AsyncIO
import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

// A loop on the main thread serves the main dispatch queue, and with it @MainActor.
@MainActor enum Counter {
    static var value = 0
    static func increment() -> Int {
        value += 1
        return value
    }
}

@MainActor func isOnLoopThere(_ loop: EventLoop) -> Bool { loop.isOnLoop }

try run {
    let loop = try getRunningLoop()
    for expected in 1...1000 {
        let value = await Counter.increment()
        precondition(value == expected)
        precondition(loop.isOnLoop)
    }
    let isOnLoop = await isOnLoopThere(loop)
    precondition(isOnLoop, "the main actor's jobs run on the loop's thread, which is the main thread")

    // From another thread, while the loop waits.
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { DispatchQueue.main.async { continuation.resume() } }
    }
    // From a task outside of the loop.
    let value = await Task.detached { await Counter.increment() }.value
    precondition(value == 1001)

    // From a task of a loop on another thread, which returns there.
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async {
            continuation.resume(
                with: Result {
                    try run {
                        let side = try getRunningLoop()
                        for _ in 0..<100 {
                            let isHere = await isOnLoopThere(loop)
                            precondition(isHere, "the main actor's function ran on the loop of the main thread")
                            precondition(side.isOnLoop && !loop.isOnLoop, "the task came back to its own loop")
                        }
                    }
                })
        }
    }
}
// And again, in a second loop of the same thread.
try run {
    let value = await Counter.increment()
    precondition(value == 1002)
}
// A loop opens its descriptors when it is created. Its first run may come when select cannot watch other numbers, and
// when the process cannot open any.
#if os(Linux)
var limit = rlimit()
let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
getrlimit(resource, &limit)
limit.rlim_cur = min(4_096, limit.rlim_max)
precondition(setrlimit(resource, &limit) == 0)
let runner = Runner(loopFactory: { try LoopKind.select.makeLoop() })
_ = try runner.getLoop()
while dup(0) < 1_100 {}
for isExhausted in [false, true] {
    if isExhausted { while dup(0) >= 0 {} }
    try runner.run {
        try getRunningLoop().addSignalHandler(.user1) {}
        let value = await Counter.increment()
        precondition(value == (isExhausted ? 1004 : 1003))
    }
}
try runner.close()
#endif
print("ok: main thread")
