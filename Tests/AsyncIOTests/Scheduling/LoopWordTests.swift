import Testing

@testable import AsyncIO

struct LoopWordTests {
    private static let names = [
        SlotName(slot: 0, generation: 0),
        SlotName(slot: 1, generation: 2),
        SlotName(slot: .max, generation: 0),
        SlotName(slot: .max, generation: SlotName.generationLimit - 1),
        SlotName(slot: 0, generation: SlotName.generationLimit - 1),
    ]

    @Test(arguments: names)
    func aNameSurvivesItsBits(name: SlotName) {
        #expect(SlotName(bits: name.bits) == name)
        #expect(name.bits >> 61 == 0)
    }

    @Test(arguments: names, [LoopWord.Kind.callback, .source, .cancelledWaiter, .abandonedSource])
    func aWordKeepsItsKindAndItsName(name: SlotName, kind: LoopWord.Kind) {
        let word = LoopWord(bits: LoopWord(kind, name).bits)
        #expect(word.kind == kind)
        #expect(word.name == name)
    }

    @Test func aMessageIsRetainedUntilItIsTaken() {
        final class Note: LoopMessage {
            let text = "hello"
        }
        weak var observed: Note?
        let word: LoopWord
        do {
            let note = Note()
            observed = note
            word = LoopWord(note)
        }
        #expect(word.kind == .message)
        #expect(observed?.text == "hello")
        #expect(word.takeMessage() === observed)
        #expect(observed == nil)
    }

    @Test func aJobAndAContinuationLeaveRoomForTheKind() async {
        // The runtime aligns tasks to 16 bytes; the three bits of the kind rely on that.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let word = LoopWord(resuming: continuation, directly: false)
            #expect(word.kind == .continuation)
            #expect(unsafeBitCast(word.continuation, to: UInt.self) == unsafeBitCast(continuation, to: UInt.self))
            continuation.resume()
        }
    }
}
