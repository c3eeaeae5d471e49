#if os(Linux)
import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

/// A child of fork has copies of the loops of its parent, and one thread.
struct ForkedLoopTests {
    // covers: 326
    @Test(.startsProcess) func childMayCloseItsLoopAndCreateOneAndTheParentIsNotDisturbed() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            for kind in TestLoop.all { try OtherThread.run { try Self.check(kind) } }
        }
    }

    private static func check(_ kind: TestLoop) throws {
        // Swift does not import fork, because a child can use little of a program with several threads. This process
        // has few, and the child does only what its parent did before, so that it need not look anything up.
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        let (near, far) = try Socket.pair()
        guard replaces(try watchingLoop(kind, near), kind) else { exit(2) }

        let loop = try watchingLoop(kind, near)
        let child = fork()
        if child == 0 {
            // A child that hangs ends.
            alarm(60)
            _exit(replaces(loop, kind) ? 0 : 1)
        }
        guard child > 0 else { exit(3) }
        var status: CInt = -1
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        guard status == 0 else { exit(4) }

        // The timer and the registration are as they were, and another thread can still wake the loop.
        nonisolated(unsafe) var events: [String] = []
        loop.removeReader(near.descriptor)
        try loop.addReader(near.descriptor) {
            events.append("readable")
            loop.removeReader(near.descriptor)
        }
        loop.callLater(after: .milliseconds(20)) { events.append("timer") }
        guard far.sendNow("x") == 1 else { exit(5) }
        try OtherThread.run { _ = try loop.callSoonThreadsafe { events.append("submitted") } }
        while Set(events).count < 3 {
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
        }
        guard loop.statistics.timers >= 1 else { exit(6) }
        try loop.close()
        near.close()
        far.close()
    }

    /// A loop that has run, with a timer and a watcher.
    private static func watchingLoop(_ kind: TestLoop, _ socket: Socket) throws -> EventLoop {
        let loop = try kind.makeLoop()
        loop.callLater(after: .seconds(3_600)) {}
        try loop.addReader(socket.descriptor) {}
        loop.callSoon { loop.stop() }
        try loop.runForever()
        return loop
    }

    /// Closes a loop, and creates, runs and closes another one. Returns whether all of that worked.
    private static func replaces(_ loop: EventLoop, _ kind: TestLoop) -> Bool {
        do {
            try loop.close()
            let own = try kind.makeLoop()
            var hasFired = false
            own.callLater(after: .milliseconds(1)) {
                hasFired = true
                own.stop()
            }
            try own.runForever()
            try own.close()
            return hasFired
        } catch {
            return false
        }
    }
}
#endif
