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

    /// Their names lead from one to the other.
    @Test func everySelectorOfTheSystemHasALoopOfItsName() throws {
        #expect(DefaultSelector.candidates.map { $0.name } == LoopKind.readinessBased.map(\.rawValue))
        #expect(LoopKind.available.suffix(2) == [.poll, .select])
        for kind in LoopKind.available {
            let loop = try kind.makeLoop()
            #expect(loop.backendName == kind.rawValue)
            try loop.close()
        }
        for kind in LoopKind.allCases where ![.auto, .ioUring].contains(kind) && !LoopKind.available.contains(kind) {
            #expect(code { _ = try kind.makeLoop() } == .unsupported)
        }
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

    @Test func theTableOfLoopsSaysWhatThisSystemHas() {
        let table = LoopKind.support
        #expect(table.map(\.kind) == LoopKind.allCases.filter { $0 != .auto })
        #expect(Set(table.filter(\.isAvailable).map(\.kind)) == Set(LoopKind.available))
        #expect(table.filter(\.isDefault).map(\.kind) == [LoopKind.available[0]])
        #expect(table.allSatisfy { !$0.reason.isEmpty })
        #expect(table.filter { $0.isCompletionBased }.map(\.kind) == [.ioUring, .iocp])
    }

    @Test func theTableNamesWhatIsRefused() {
        let best = LoopKind.available[0]
        let table = LoopKind.support { kind in if kind == best { throw Errno.notPermitted } }
        let row = table.first { $0.kind == best }
        #expect(row?.isAvailable == false && row?.isDefault == false)
        #expect(row?.reason == "refused: \(Errno.notPermitted)")
        #expect(table.filter(\.isDefault).map(\.kind) == [LoopKind.available[1]])
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
