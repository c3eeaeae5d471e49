import Proactors
import SystemPackage
import Testing

@testable import AsyncIO

struct LoopSupportTests {
    @Test func tableHasEveryKindAndSaysWhichWork() {
        let table = LoopKind.support
        #expect(table.map(\.kind) == LoopKind.allCases.filter { $0 != .auto })
        #expect(table.filter(\.isAvailable).map(\.kind) == LoopKind.available)
        #expect(table.allSatisfy { !$0.reason.isEmpty })
        #expect(table.filter(\.isCompletionBased).map(\.kind) == [.ioUring, .iocp])
    }

    // covers: 99
    @Test func tableSaysWhyAKindWasRefusedAndWhatIsChosenInstead() {
        let best = LoopKind.automatic[0]
        let table = LoopKind.support(nil) { kind in if kind == best { throw Errno.notPermitted } }
        let row = table.first { $0.kind == best }
        #expect(row?.isAvailable == false && row?.isDefault == false)
        #expect(row?.reason == "refused: \(best) failed: \(Errno.notPermitted)")
        #expect(table.filter(\.isDefault).map(\.kind) == [LoopKind.automatic[1]])
    }

    #if os(Linux)
    // covers: 99
    @Test func refusedRingIsNotedAndDoesNotChangeTheDefault() {
        let refusal = IOUringUnavailable("io_uring_setup", .tooManyOpenFiles)
        let table = LoopKind.support(nil) { kind in if kind == .ioUring { throw refusal } }
        #expect(table[0].kind == .ioUring && !table[0].isAvailable)
        #expect(table[0].reason == "refused: io_uring_setup failed: Too many open files")
        #expect(table.filter(\.isDefault).map(\.kind) == [.epoll])
    }
    #endif

    @Test func variableDecidesWhichKindIsTheDefault() {
        let table = LoopKind.support("poll") { _ in }
        #expect(table.filter(\.isDefault).map(\.kind) == [.poll])
        #expect(table.first { $0.kind == .poll }?.reason == "works here; ASYNCIO_LOOP chooses it")
        let automatic = LoopKind.support("") { _ in }.first(where: \.isDefault)
        #expect(automatic?.reason == "works here; auto chooses it")
    }

    @Test func noKindIsTheDefaultIfTheVariableIsWrong() {
        for value in ["foo", "iocp"] {
            let table = LoopKind.support(value) { _ in }
            #expect(table.filter(\.isDefault).isEmpty)
        }
        let refused = LoopKind.support("poll") { kind in if kind == .poll { throw Errno.noFunction } }
        #expect(refused.filter(\.isDefault).isEmpty)
    }
}
