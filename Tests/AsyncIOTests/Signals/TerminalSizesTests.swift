import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// In one suite with the tests of handlers, because signals belong to the process.
extension SignalHandlersTests {
    /// SIGWINCH is delivered to this process, which ignores it by default.
    @Test(arguments: TestLoop.all)
    func sizesFollowTheWindow(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let ends = try Terminal.openPseudoTerminal()
            let terminal = try #require(Terminal(ends.terminal))
            try terminal.setSize(Terminal.Size(columns: 80, rows: 24))
            var sizes = try terminal.sizes(on: loop)
            for columns in [100, 120] {
                try terminal.setSize(Terminal.Size(columns: columns, rows: 24))
                // The terminal is not this process's, so the kernel sends no signal here.
                kill(getpid(), SIGWINCH)
                #expect(await sizes.next() == Terminal.Size(columns: columns, rows: 24))
            }
            // One without a change is skipped, and the close of the terminal ends the sequence.
            kill(getpid(), SIGWINCH)
            let waiting = loop.createTask { [sizes = UncheckedSendable(value: sizes)] in
                var sizes = sizes.value
                return await sizes.next()
            }
            for _ in 0..<50 { await loop.yield() }
            try ends.controller.close()
            kill(getpid(), SIGWINCH)
            #expect(await waiting.value == nil)
            try ends.terminal.close()
        }
    }
}
