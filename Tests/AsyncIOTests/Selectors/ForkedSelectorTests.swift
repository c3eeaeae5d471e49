#if os(Linux)
import AsyncIOSystem
import Glibc
import Selectors
import SystemPackage
import Testing

/// A forked child shares its parent's epoll: what it frees must not be the parent's.
struct ForkedSelectorTests {
    @Test(.startsProcess) func aChildThatClosesTheSelectorTakesNothingFromItsParent() throws {
        let selector = try EpollSelector()
        let twin = try EpollSelector()
        try withSockets { near, far in
            try selector.register(near.descriptor, .read, token: 1)
            try twin.register(near.descriptor, .read, token: 1)
            // Once before, so that the child need not look anything up: another thread may hold the runtime's locks.
            _ = mistakes(of: twin, near, far)
            let child = fork()
            // Nothing but system calls and this: the other threads, and what they hold, are gone.
            if child == 0 { _exit(mistakes(of: selector, near, far)) }
            try #require(child > 0)
            var status: CInt = -1
            while waitpid(child, &status, 0) < 0 && Glibc.errno == EINTR {}
            #expect(status == 0)
            far.put("x")
            #expect(try selector.events() == [ReadyEvent(token: 1, readiness: .read)])
        }
        selector.close()
    }

    /// What a selector of a parent does in its child and should not, as bits. Closes it.
    private func mistakes(of selector: EpollSelector, _ near: Socket, _ far: Socket) -> CInt {
        var wrong: CInt = 0
        if errno({ () throws(Errno) in try selector.modify(near.descriptor, .write) }) != .badFileDescriptor {
            wrong |= 1
        }
        if errno({ () throws(Errno) in try selector.register(far.descriptor, .read) }) != .badFileDescriptor {
            wrong |= 2
        }
        if errno({ () throws(Errno) in try selector.unregister(near.descriptor) }) != nil { wrong |= 4 }
        selector.close()
        return wrong
    }
}
#endif
