import AsyncIO

// The statements of Tests/Specification.md about the main thread, which the test process cannot use. The numbers are
// those of "18.5.2. Event loops".

func code(_ body: () throws -> Void) -> EventLoopError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? EventLoopError)?.code
    }
}

// specification: 18.5.2.5 the default policy's get_event_loop() creates one when called from the main thread
// covers: 92
let first = try getEventLoop()
let again = try getEventLoop()
precondition(first === again)
var order: [Int] = []
first.callLater(after: .milliseconds(2)) { first.stop() }
first.callSoon { order.append(1) }
first.callSoon { order.append(2) }
try first.runForever()
precondition(order == [1, 2])

// specification: 18.5.2.1 the functions are shortcuts to the policy's methods
let ofPolicy = try getEventLoopPolicy().getEventLoop()
precondition(ofPolicy === first)
try first.close()

// specification: 18.5.2.5 raises an exception in case no event loop has been set and the policy does not create one
// covers: 94
setEventLoop(nil)
do {
    _ = try getEventLoop()
    fatalError("a loop was made")
} catch let error as EventLoopError {
    precondition(error.code == .noCurrentLoop)
    precondition(error.description == "there is no current event loop in thread 'main'")
}

// The policy's own two methods create the loop, once, and a subclass may override them.
final class Hooked: DefaultEventLoopPolicy, @unchecked Sendable {
    nonisolated(unsafe) var calls: [String] = []
    override func newEventLoop() throws -> EventLoop {
        calls.append("new")
        return try super.newEventLoop()
    }
    override func setEventLoop(_ loop: EventLoop?) {
        calls.append("set")
        super.setEventLoop(loop)
    }
}
let hooked = Hooked()
setEventLoopPolicy(hooked)
let made = try getEventLoop()
_ = try getEventLoop()
precondition(hooked.calls == ["new", "set"])
try made.close()
// A closed loop remains the thread's loop, as in asyncio.
let closed = try getEventLoop()
precondition(closed === made)
setEventLoop(nil)
precondition(code { _ = try getEventLoop() } == .noCurrentLoop)
precondition(hooked.calls == ["new", "set", "set"])

// A subclass that ignores what is set leaves the thread without a loop; `getEventLoop` throws and never returns `nil`.
final class Forgetful: DefaultEventLoopPolicy, @unchecked Sendable {
    override func setEventLoop(_ loop: EventLoop?) {}
}
precondition(code { _ = try Forgetful().getEventLoop() } == .noCurrentLoop)

// Python 3.14's rule: no loop is created, even on the main thread.
let strict = StrictEventLoopPolicy()
precondition(code { _ = try strict.getEventLoop() } == .noCurrentLoop)
let given = try strict.newEventLoop()
strict.setEventLoop(given)
let current = try strict.getEventLoop()
precondition(current === given)
try given.close()

// specification: 18.5.2.7 the example: a policy of one's own, by subclassing the default one
final class MyEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    nonisolated(unsafe) var asked = 0

    override func getEventLoop() throws -> EventLoop {
        let loop = try super.getEventLoop()
        // Do something with loop ...
        asked += 1
        return loop
    }
}
let policy = MyEventLoopPolicy()
setEventLoopPolicy(policy)
let loop = try getEventLoop()
precondition(policy.asked == 1)
try loop.runUntilComplete {
    // Within a running loop that loop is returned, whatever the policy returns.
    let running = try getEventLoop()
    precondition(running === loop)
}
precondition(policy.asked == 1)
try loop.close()

// specification: 18.5.2.6 if policy is None, the default policy is restored
// covers: 96
setEventLoopPolicy(nil)
let restored = getEventLoopPolicy()
precondition(restored !== policy && type(of: restored) == DefaultEventLoopPolicy.self)

// run creates its own loops. Afterwards the thread has no loop, and none is created silently.
let ofRun = try run { ObjectIdentifier(try getEventLoop()) }
precondition(ofRun != ObjectIdentifier(loop))
precondition(code { _ = try getEventLoop() } == .noCurrentLoop)
print("ok: policies")

// A loop class may be derived from in another package, and a policy may create its loops.
final class NamedLoop: SelectorEventLoop, @unchecked Sendable {
    override var backendName: String { "named" }
}
setEventLoopPolicy(DefaultEventLoopPolicy(loopFactory: { try NamedLoop() }))
try run { loop in precondition(loop is NamedLoop && "\(loop)" == "<NamedLoop named, running>") }
setEventLoopPolicy(nil)
