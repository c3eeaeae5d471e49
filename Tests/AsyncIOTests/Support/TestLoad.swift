import AsyncIOTesting
import Foundation

/// How much a test that looks for races does: less in debug builds, and a tenth of that under a sanitizer, where
/// everything takes that much longer. `ASYNCIO_LOAD=full` or `light` overrides it.
func rounds(debug: Int, release: Int) -> Int {
    switch ProcessInfo.processInfo.environment["ASYNCIO_LOAD"] {
    case "full": return release
    case "light": return debug / 10
    default: break
    }
    #if DEBUG
    return debug
    #else
    return release
    #endif
}

/// For tests that need the pool's threads, which other tests keep busy for seconds under a sanitizer.
let patiently = LoopTestOptions(timeLimit: .seconds(60))
