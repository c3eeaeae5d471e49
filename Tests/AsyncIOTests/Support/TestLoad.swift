import AsyncIOTesting
import Foundation

/// Whether tests with many connections run at their full size, which takes minutes and thousands of descriptors.
let isFullLoad = ProcessInfo.processInfo.environment["ASYNCIO_LOAD"] == "full"

/// Returns the number of rounds of a test that looks for rare faults. `ASYNCIO_LOAD=full` takes all of them, and
/// `light`, which is for the thread sanitizer, a tenth of those of a debug build. Without it, a release build takes a
/// fifth of all.
func rounds(debug: Int, full: Int) -> Int {
    switch ProcessInfo.processInfo.environment["ASYNCIO_LOAD"] {
    case "full": return full
    case "light": return max(1, debug / 10)
    default: break
    }
    #if DEBUG
    return debug
    #else
    return max(debug, full / 5)
    #endif
}

/// For tests that need threads of the pool, which other tests occupy for seconds under a sanitizer.
let patiently = LoopTestOptions(timeLimit: .seconds(60))
