#if os(Linux)
import AsyncIO
import AsyncIOTesting
import Foundation
import Testing

/// Older kernels and some sandboxes have only waits of whole milliseconds. What a process has learned about that it
/// does not forget, so each of these is one of its own.
@Suite(.enabled(if: RefusedSystemCall.isPossible))
struct MillisecondWaitTests {
    // covers: 14, 46, 50, F37
    @Test(.startsProcess) func epollWithoutNanosecondsIsNeitherEarlyNorSpins() async {
        await #expect(processExitsWith: .success) {
            try await withLoopThread(.epoll) { loop in
                #expect(RefusedSystemCall.epollPwait2.begin(ENOSYS))
                try expectShortTimersOnTime(on: loop)
            }
        }
    }

    // covers: 14, 46, 50, F37
    @Test(.startsProcess) func pollWithoutNanosecondsIsNeitherEarlyNorSpins() async {
        await #expect(processExitsWith: .success) {
            try await withLoopThread(.poll) { loop in
                #expect(RefusedSystemCall.ppoll.begin(EPERM))
                try expectShortTimersOnTime(on: loop)
            }
        }
    }
}
#endif
