import AsyncIO

// The specification's example: a policy of one's own, by subclassing the default one.
final class MyEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    nonisolated(unsafe) var asked = 0

    override func getEventLoop() throws -> EventLoop {
        let loop = try super.getEventLoop()
        asked += 1
        return loop
    }
}

// On the main thread the default policy makes a loop at the first call, and keeps it.
let first = try getEventLoop()
let again = try getEventLoop()
precondition(first === again)
var order: [Int] = []
first.callLater(after: .milliseconds(2)) { first.stop() }
first.callSoon { order.append(1) }
first.callSoon { order.append(2) }
try first.runForever()
precondition(order == [1, 2])
try first.close()

// After setEventLoop(nil) there is none, even on the main thread.
setEventLoop(nil)
do {
    _ = try getEventLoop()
    preconditionFailure("a loop was made")
} catch let error as EventLoopError {
    precondition(error.code == .noCurrentLoop)
    precondition(error.description == "there is no current event loop in thread 'main'")
}

let policy = MyEventLoopPolicy()
setEventLoopPolicy(policy)
let loop = try getEventLoop()
precondition(policy.asked == 1)
try loop.runUntilComplete {
    // Inside of a loop the running one is returned, whatever the policy says.
    let running = try getEventLoop()
    precondition(running === loop)
}
precondition(policy.asked == 1)
try loop.close()
setEventLoopPolicy(nil)
print("ok: policies")
