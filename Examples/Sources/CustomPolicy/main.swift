import AsyncIO
import Foundation

/// A policy that watches every loop of the process. It reports a callback that blocks its loop for more than 20 ms.
final class WatchfulEventLoopPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
    override func newEventLoop() throws -> EventLoop {
        let loop = try super.newEventLoop()
        loop.debug.isEnabled = true
        loop.debug.slowCallbackDuration = .milliseconds(20)
        loop.debug.warningHandler = { warning in
            if warning.kind == .slowCallback { print("too slow: \(warning.callSite?.description ?? "?")") }
        }
        return loop
    }
}

setEventLoopPolicy(WatchfulEventLoopPolicy())

// `run` asks the policy for its loop, as `newEventLoop()` and `EventLoopMain` do.
try run { loop in
    loop.callSoon { usleep(30_000) }
    try await loop.sleep(for: .milliseconds(1))
    print("done")
}
