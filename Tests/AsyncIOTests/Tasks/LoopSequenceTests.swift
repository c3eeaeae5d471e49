import AsyncIOTesting
import Testing

@testable import AsyncIO

struct LoopSequenceTests {
    @Test(arguments: ScriptedBackend.allCases)
    func iterationEndsWithTheFirstErrorAndALaterOneContinues(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 8)
            peer.sends("first\na line that is too long\nlast\n")
            let lines = reader.lines
            var iterator = lines.makeAsyncIterator()
            #expect(try await iterator.next() == "first")
            await #expect(throws: LimitOverrunError.self) { _ = try await iterator.next() }
            #expect(try await iterator.next() == nil)
            #expect(try await iterator.next(isolation: nil) == nil)
            var later = lines.makeAsyncIterator()
            await #expect(throws: LimitOverrunError.self) { _ = try await later.next(isolation: nil) }
            #expect(try await later.next(isolation: nil) == nil)
            while try await reader.readLine() != "last" {}
            peer.ends()
            for try await line in lines { Issue.record("\(line) came after the end") }
            writer.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func lastCopyReleasesTheSource(kind: TestLoop) async throws {
        final class Source { var rest = 2 }
        try await withLoop(kind) { loop in
            weak var source: Source?
            do {
                let sequence = LoopSequence<Int, any Error>(of: Source()) {
                    let source = unsafeDowncast($0, to: Source.self)
                    await loop.yield()
                    if source.rest == 0 { return nil }
                    source.rest -= 1
                    return source.rest
                }
                source = sequence.source as? Source
                var copy = sequence
                #expect(try await copy.next() == 1)
                for try await number in sequence { #expect(number == 0) }
                #expect(source != nil)
            }
            #expect(source == nil)
        }
    }
}
