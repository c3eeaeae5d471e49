import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

/// What nobody wants to know now costs no waits, on selectors that tell it once and on those that tell it all the time.
struct QuietConnectionTests {
    enum PeerStep: String, CaseIterable {
        case sends, sendsAndEnds, sendsAndCloses, resets
    }

    /// Far more time than the events need, so it matters little how much: a loop that spins waits thousands of times.
    private static let quietTime = Duration.milliseconds(40)
    private static let mostWaits = 15

    // covers: 61, 155, F5
    @Test(arguments: SystemSelector.all, PeerStep.allCases)
    func aPausedConnectionDoesNotSpin(kind: SystemSelector, step: PeerStep) async throws {
        try await withLoop(makeLoop: kind.countingLoop) { loop in
            let recorder = Recorder()
            recorder.reaction = { event, transport in if event == .made { transport.pauseReading() } }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { recorder.transport != nil }
            let transport = try #require(recorder.transport)
            if step != .resets { try await writer.write("hello") }
            switch step {
            case .sends: break
            case .sendsAndEnds: writer.transport.writeEOF()
            case .sendsAndCloses: writer.close()
            case .resets: writer.reset()
            }
            let before = loop.counter.waits
            try await loop.sleep(for: Self.quietTime)
            #expect(loop.counter.waits - before <= Self.mostWaits)
            #expect(recorder.events == [.made])

            // Nothing of it is lost.
            transport.resumeReading()
            if step == .sends {
                await loop.until { recorder.events.count > 1 }
                #expect(recorder.events == [.made, .data("hello")])
                writer.close()
            }
            await loop.until { recorder.transport == nil }
            let end: [Recorder.Event] =
                step == .resets ? [.lost(.io(.connectionReset))] : [.data("hello"), .end, .lost(nil)]
            #expect(recorder.events == [.made] + end)
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 61, 155, F5
    @Test(arguments: SystemSelector.all, PeerStep.allCases)
    func aConnectionWhoseTaskIsBusyDoesNotSpin(kind: SystemSelector, step: PeerStep) async throws {
        try await withLoop(makeLoop: kind.countingLoop) { loop in
            nonisolated(unsafe) var result: Result<[UInt8], any Error>?
            nonisolated(unsafe) var main: UnsafeContinuation<Void, Never>?
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                let before = loop.counter.waits
                try await loop.sleep(for: Self.quietTime)
                #expect(loop.counter.waits - before <= Self.mostWaits)
                do {
                    result = .success(step == .sends ? try await reader.readExactly(5) : try await reader.readToEnd())
                } catch {
                    result = .failure(error)
                }
                writer.close()
                main?.resume()
            }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            if step != .resets { try await writer.write("hello") }
            switch step {
            case .sends: break
            case .sendsAndEnds: writer.transport.writeEOF()
            case .sendsAndCloses: writer.close()
            case .resets: writer.reset()
            }
            // This task must be at rest too.
            await withUnsafeContinuation { main = $0 }
            if step == .resets {
                #expect(throws: IOError.self) { try result?.get() }
            } else {
                #expect(try result?.get() == Array("hello".utf8))
            }
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 155
    @Test(arguments: SystemSelector.all)
    func aHalfClosedConnectionDoesNotSpinAndStillSends(kind: SystemSelector) async throws {
        try await withLoop(makeLoop: kind.countingLoop) { loop in
            let recorder = Recorder()
            recorder.staysOpen = true
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            writer.transport.writeEOF()
            await loop.until { recorder.events.contains(.end) }
            let before = loop.counter.waits
            try await loop.sleep(for: Self.quietTime)
            #expect(loop.counter.waits - before <= Self.mostWaits)
            let transport = try #require(recorder.transport)
            // So much that it blocks: room is told although reading is not watched.
            let bytes = [UInt8](repeating: 7, count: 8 << 20)
            transport.write(bytes)
            transport.close()
            #expect(try await reader.readToEnd() == bytes)
            await loop.until { recorder.transport == nil }
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    /// Closing waits for the queue to be flushed, with reading over: the end of it must come, and no spin before it.
    // covers: F5
    @Test(arguments: SystemSelector.all)
    func aStuckConnectionThatIsResetIsLost(kind: SystemSelector) async throws {
        try await withLoop(makeLoop: kind.countingLoop) { loop in
            let recorder = Recorder()
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { recorder.transport != nil }
            let transport = try #require(recorder.transport)
            transport.pauseReading()
            transport.write([UInt8](repeating: 1, count: 32 << 20))
            let before = loop.counter.waits
            try await loop.sleep(for: Self.quietTime)
            #expect(loop.counter.waits - before <= Self.mostWaits)
            writer.reset()
            await loop.until { recorder.transport == nil }
            #expect(recorder.eventsWithoutData == [.made, .paused, .lost(.io(.connectionReset))])
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(arguments: SystemSelector.all, [false, true])
    func noMessageChangesARegistration(kind: SystemSelector, pushes: Bool) async throws {
        try await withLoop(makeLoop: kind.countingLoop) { loop in
            let server =
                pushes
                ? try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                : try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                    var buffer = [UInt8](repeating: 0, count: 64)
                    while let count = try await reader.read(into: &buffer) {
                        try await writer.write(Array(buffer[..<count]))
                    }
                }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            var changes: [Int] = []
            for _ in 0..<100 {
                try await writer.write("message")
                _ = try await reader.readExactly(7)
                changes.append(loop.counter.changes)
            }
            #expect(changes[1] == changes[99])
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    /// The connection asks to be told again, and cannot be: nobody would ever hear of it.
    @Test func aConnectionThatCannotBeWatchedAgainIsLost() async throws {
        try await withLoop(makeLoop: SystemSelector.poll.countingLoop) { loop in
            let recorder = Recorder()
            recorder.reaction = { event, transport in if event == .made { transport.pauseReading() } }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { recorder }
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            await loop.until { recorder.transport != nil }
            let transport = try #require(recorder.transport)
            // Beyond the tick in which its reading begins.
            for _ in 0..<3 { await loop.yield() }
            let before = loop.counter.changes
            try await writer.write("hello")
            // It is not watched any more when nobody reads.
            await loop.until { loop.counter.changes > before }
            loop.counter.nextChangeError = .noMemory
            transport.resumeReading()
            await loop.until { recorder.transport == nil }
            #expect(recorder.events == [.made, .data("hello"), .lost(.io(.noMemory))])
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }
}
