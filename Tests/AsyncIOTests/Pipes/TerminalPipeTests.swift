import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Both sides of pseudo-terminals as pipes.
struct TerminalPipeTests {
    /// The controlling side is used for both directions, with a duplicate.
    // covers: 201
    @Test(arguments: TestLoop.all)
    func pseudoTerminalWorksBothWays(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try TestTerminal()
            let (screen, shown) = try await loop.connectReadPipe(try ends.controller.shared()) { Recorder() }
            let (keyboard, _) = try await loop.connectWritePipe(ends.controller) { Recorder() }
            let (input, typed) = try await loop.connectReadPipe(try ends.terminal.shared()) { Recorder() }
            let (output, printed) = try await loop.connectWritePipe(ends.terminal) { Recorder() }
            keyboard.write("typed")
            output.write("printed")
            await loop.until { typed.received.count == 5 && shown.received.count == 7 }
            #expect(typed.received == Array("typed".utf8) && shown.received == Array("printed".utf8))
            #expect(printed.events == [.made])
            for transport in [screen, keyboard, input, output] { transport.close() }
        }
    }

    /// The kernel reports EIO when the programs have left the terminal.
    // covers: 201
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func closeOfTheTerminalIsAnEOFOfTheControllingSide(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try TestTerminal()
            let reader = try await loop.openReadPipe(ends.controller)
            try ends.terminal.write("last words")
            try ends.terminal.close()
            #expect(try await reader.readToEnd() == Array("last words".utf8))
            #expect(reader.isAtEOF)
        }
    }

    // covers: 201
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func closeOfTheControllingSideIsAnEOFOfTheTerminal(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try TestTerminal()
            let output = try await loop.openWritePipe(try ends.terminal.shared())
            let (_, recorder) = try await loop.connectReadPipe(ends.terminal) { Recorder() }
            try ends.controller.close()
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .end, .lost(nil)])
            let failure = await #expect(throws: IOError.self) {
                for _ in 0..<1_000 { try await output.write("x") }
            }
            #expect(failure?.errno == .brokenPipe)
        }
    }

    /// A terminal gives one line per read, although there are more.
    // covers: 201
    @Test(arguments: TestLoop.all)
    func linesThatWereTypedAheadAreAllRead(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try TestTerminal(isRaw: false)
            try ends.controller.write("one\ntwo\nthree\n")
            let (transport, recorder) = try await loop.connectReadPipe(ends.terminal) { Recorder() }
            await loop.until { recorder.received.count == 14 }
            #expect(recorder.events == [.made, .data("one\n"), .data("two\n"), .data("three\n")])
            // Ctrl-D at the beginning of a line.
            try ends.controller.write("\u{4}")
            await loop.until { recorder.transport == nil }
            #expect(recorder.eventsWithoutData == [.made, .end, .lost(nil)])
            _ = transport
            try ends.controller.close()
        }
    }

    /// asyncio watches every output but those of devices for reading, for the same reason.
    // covers: 201
    @Test(arguments: TestLoop.all)
    func typingOnATerminalNeitherEndsItsOutputNorWakesTheLoop(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let ends = try TestTerminal()
            let (transport, recorder) = try await loop.connectWritePipe(try ends.terminal.shared()) { Recorder() }
            try ends.controller.write("typed")
            try await loop.sleep(for: .seconds(1))
            let ticks = loop.core.pointee.tick
            try await loop.sleep(for: .seconds(1))
            #expect(loop.core.pointee.tick - ticks < 10)
            transport.write("printed")
            #expect(try ends.controller.readSome() == Array("printed".utf8))
            #expect(try ends.terminal.readSome() == Array("typed".utf8))
            #expect(recorder.events == [.made])
            transport.close()
            try ends.controller.close()
            try ends.terminal.close()
        }
    }

    // covers: 201, 204
    @Test(arguments: TestLoop.all)
    func slowTerminalPausesTheWriterAndLosesNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try TestTerminal()
            let sent = pattern(500_000)
            let writer = try await loop.openWritePipe(ends.terminal)
            let reader = try await loop.openReadPipe(ends.controller)
            var isWritten = false
            let writing = loop.createTask {
                try await writer.write(sent)
                isWritten = true
            }
            for _ in 0..<50 { await loop.yield() }
            #expect(!isWritten)
            #expect(try await reader.readExactly(sent.count) == sent)
            try await writing.value
            writer.close()
        }
    }
}
