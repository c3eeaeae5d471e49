import AsyncIO

struct Failure: Error, CustomStringConvertible {
    var description: String { "it does not work" }
}

// A command-line tool, which interrupts.py starts with an argument that says what to do.
@main struct Tool: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        precondition(loop.isOnLoop && runningLoop === loop)
        loop.createBackgroundTask {
            do { try await loop.sleep(for: .seconds(3_600)) } catch { print("the rest has ended") }
        }
        await loop.yield()
        switch CommandLine.arguments.last {
        case "fail": throw Failure()
        case "wait":
            try loop.callSoonThreadsafe { say("ready") }
            try await loop.sleep(for: .seconds(3_600))
        default: print("ok: loop main")
        }
    }
}
