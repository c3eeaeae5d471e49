#if os(Linux)
import AsyncIOSystem
import Glibc
import Selectors
import SystemPackage
import Testing

/// A forked child shares its parent's epoll: what it frees must not be the parent's.
struct ForkedSelectorTests {
    @Test func aChildThatClosesTheSelectorTakesNothingFromItsParent() throws {
        let selector = try EpollSelector()
        try withSockets { near, far in
            try selector.register(near.descriptor, .read, token: 1)
            let child = fork()
            if child == 0 {
                // Nothing but system calls and this: the other threads, and what they hold, are gone.
                var wrong: CInt = 0
                if errno({ () throws(Errno) in try selector.modify(near.descriptor, .write) }) != .badFileDescriptor {
                    wrong |= 1
                }
                if errno({ () throws(Errno) in try selector.register(far.descriptor, .read) }) != .badFileDescriptor {
                    wrong |= 2
                }
                if errno({ () throws(Errno) in try selector.unregister(near.descriptor) }) != nil { wrong |= 4 }
                selector.close()
                _exit(wrong)
            }
            try #require(child > 0)
            var status: CInt = -1
            while waitpid(child, &status, 0) < 0 && Glibc.errno == EINTR {}
            #expect(status == 0)
            far.put("x")
            #expect(try selector.events() == [ReadyEvent(token: 1, readiness: .read)])
        }
        selector.close()
    }
}
#endif
