import Testing

@testable import AsyncIO

struct LoopWordTests {
    private static let ids = [
        SlotID(slot: 0, generation: 0),
        SlotID(slot: 1, generation: 2),
        SlotID(slot: .max, generation: 0),
        SlotID(slot: .max, generation: SlotID.generationLimit - 1),
        SlotID(slot: 0, generation: SlotID.generationLimit - 1),
    ]

    @Test(arguments: ids)
    func idIsRestoredFromItsBits(id: SlotID) {
        #expect(SlotID(bits: id.bits) == id)
        #expect(id.bits >> 61 == 0)
    }

    @Test(arguments: ids, [LoopWord.Kind.callback, .source, .cancelledWaiter, .abandonedSource])
    func wordStoresItsKindAndItsID(id: SlotID, kind: LoopWord.Kind) {
        let word = LoopWord(bits: LoopWord(kind, id).bits)
        #expect(word.kind == kind)
        #expect(word.id == id)
    }

    @Test func messageIsRetainedUntilItIsTaken() {
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

    @Test func jobsAndContinuationsLeaveTheLowestThreeBitsFree() async {
        // The runtime aligns tasks to 16 bytes; the three bits of the kind rely on that.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let word = LoopWord(resuming: continuation, directly: false)
            #expect(word.kind == .continuation)
            #expect(unsafeBitCast(word.continuation, to: UInt.self) == unsafeBitCast(continuation, to: UInt.self))
            continuation.resume()
        }
    }
}
