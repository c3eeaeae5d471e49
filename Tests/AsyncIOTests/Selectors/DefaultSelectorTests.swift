import AsyncIO
import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

struct DefaultSelectorTests {
    @Test func theDefaultIsTheBestOfTheSystem() throws {
        let selector = try DefaultSelector.make()
        #if os(Linux)
        #expect(selector is EpollSelector)
        #else
        #expect(selector is KqueueSelector)
        #endif
        selector.close()
    }

    /// As in a sandbox that forbids a system call, be it the one that makes the selector or the one that waits.
    @Test(
        arguments: [Errno.noFunction, .notPermitted, .permissionDenied, .invalidArgument, .notSupported], [true, false])
    func whatTheSystemRefusesIsPassedOver(refusal: Errno, atOnce: Bool) throws {
        let refused: DefaultSelector.Candidate = {
            if atOnce { throw refusal }
            return RefusingSelector(refusal)
        }
        let selector = try DefaultSelector.make(from: [refused, refused, { SelectSelector() }, { PollSelector() }])
        #expect(selector is SelectSelector)
        selector.close()
    }

    @Test func whatPassesIsNoReasonForASlowerOne() {
        for error in [Errno.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory] {
            #expect(throws: error) { try DefaultSelector.make(from: [{ throw error }, { PollSelector() }]) }
        }
    }

    @Test func whenAllAreRefusedTheBestOnesReasonIsGiven() {
        #expect(throws: Errno.notPermitted) {
            try DefaultSelector.make(from: [{ throw Errno.notPermitted }, { throw Errno.noFunction }])
        }
        #expect(throws: Errno.notSupported) { try DefaultSelector.make(from: []) }
    }
}

/// Can be made, and cannot wait.
private final class RefusingSelector: KeyedSelector {
    let keys = PollSelector().keys
    private let refusal: Errno

    init(_ refusal: Errno) {
        self.refusal = refusal
    }

    var supportsEdgeTrigger: Bool { false }
    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {}
    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {}
    func unregister(_ descriptor: FileDescriptor) throws(Errno) {}
    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) { throw refusal }
    func close() {}
}
