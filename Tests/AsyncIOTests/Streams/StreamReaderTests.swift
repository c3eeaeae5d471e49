import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Reading in a task, with the same tests on readiness and on completion.
struct StreamReaderTests {
    // covers: 300, 301
    @Test(arguments: ScriptedBackend.allCases)
    func readReturnsReceivedBytesAndThenAlwaysEOF(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("hello world")
            peer.ends()
            #expect(try await reader.read(maxBytes: 5) == Array("hello".utf8))
            var buffer = [UInt8](repeating: 0, count: 100)
            #expect(try await reader.read(into: &buffer) == 6)
            #expect(buffer.starts(with: " world".utf8))
            for _ in 0..<3 {
                #expect(try await reader.read(into: &buffer) == nil)
                #expect(try await reader.read(maxBytes: 5).isEmpty)
                #expect(try await reader.readLine() == nil)
            }
            writer.close()
        }
    }

    // covers: 300
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func readMovesBytesIntoMemoryOfEveryType(backend: ScriptedBackend, mustWait: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 6, alignment: 1)
            defer { memory.deallocate() }
            for shape in Shape.allCases {
                await network.idle()
                if !mustWait {
                    peer.sends("bcd")
                    await network.idle()
                }
                memory.copyBytes(from: Array("......".utf8))
                let reading = network.loop.createTask { try await shape.read(reader, memory) }
                await network.idle()
                if mustWait { peer.sends("bcd") }
                #expect(try await reading.value == 3)
                #expect(String(decoding: memory, as: UTF8.self) == (shape == .output ? "abcd.." : "bcd..."))
            }
            // The look-ahead is read first, and reading into no memory takes nothing.
            peer.sends("line\nrest")
            #expect(try await reader.readLine() == "line")
            let oneByte = UnsafeMutableRawBufferPointer(rebasing: memory[..<1])
            for shape in Shape.allCases {
                // That memory is already full.
                #expect(try await shape.read(reader, oneByte) == (shape == .output ? 0 : 1))
            }
            let nothing = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            #expect(try await reader.read(into: nothing) == 0)
            #expect(try await reader.readExactly(2) == Array("st".utf8))
            peer.ends()
            for shape in Shape.allCases { #expect(try await shape.read(reader, memory) == nil) }
            writer.close()
        }
    }

    private enum Shape: CaseIterable {
        case pointer, mutable, output

        /// An output span has one byte already.
        func read(_ reader: StreamReader, _ memory: UnsafeMutableRawBufferPointer) async throws -> Int? {
            switch self {
            case .pointer: return try await reader.read(into: memory)
            case .mutable:
                var span = memory.mutableBytes
                return try await reader.read(into: &span)
            case .output:
                var span = OutputRawSpan(buffer: memory, initializedCount: 0)
                span.append(UInt8(ascii: "a"), as: UInt8.self)
                let count = try await reader.read(into: &span)
                #expect(span.byteCount == 1 + (count ?? 0))
                _ = span.finalize(for: memory)
                return count
            }
        }
    }

    // covers: 136, 303
    @Test(arguments: ScriptedBackend.allCases)
    func emptyReadIsNotEOFAndANegativeSizeIsRejected(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("abc")
            var empty: [UInt8] = []
            #expect(try await reader.read(into: &empty) == 0)
            #expect(try await reader.read(maxBytes: 0).isEmpty)
            #expect(try await reader.readExactly(0).isEmpty)
            let read = await #expect(throws: EventLoopError.self) { try await reader.read(maxBytes: -1) }
            #expect(read?.code == .invalidArgument)
            let exact = await #expect(throws: EventLoopError.self) { try await reader.readExactly(-1) }
            #expect(exact?.code == .invalidArgument)
            #expect(try await reader.readExactly(3) == Array("abc".utf8))
            writer.close()
        }
    }

    // covers: 300
    @Test(arguments: ScriptedBackend.allCases, [1, 2, 3, 7, 100])
    func readsDoNotDependOnTheReceivedPieces(backend: ScriptedBackend, chunk: Int) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let text = "first\nsecond\r\n\n12345third, without an end"
            var rest = Array(text.utf8)
            let feeding = network.loop.createTask {
                while !rest.isEmpty {
                    peer.sends(Array(rest.prefix(chunk)))
                    rest.removeFirst(min(chunk, rest.count))
                    await network.idle()
                }
                peer.ends()
            }
            #expect(try await reader.readLine() == "first")
            #expect(try await reader.readLine(strippingNewline: false) == "second\r\n")
            #expect(try await reader.readLine() == "")
            #expect(try await reader.readExactly(5) == Array("12345".utf8))
            #expect(try await reader.readLine() == "third, without an end")
            #expect(try await reader.readLine() == nil)
            await feeding.value
            writer.close()
        }
    }

    // covers: 301
    @Test(arguments: ScriptedBackend.allCases)
    func eofWithinAReadThrowsTheReceivedBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("abc")
            peer.ends()
            let error = await #expect(throws: IncompleteReadError.self) { try await reader.readExactly(5) }
            #expect(error?.partial == Array("abc".utf8))
            #expect(error?.expectedBytes == 5)
            #expect(try await reader.read(maxBytes: 5).isEmpty)
            writer.close()
        }
    }

    // covers: 302
    @Test(arguments: ScriptedBackend.allCases)
    func lineMayBeAsLongAsTheLimitButNotLonger(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 5)
            peer.sends("12345\n123456\n1\n")
            #expect(try await reader.readLine() == "12345")
            let error = await #expect(throws: LimitOverrunError.self) { try await reader.readLine() }
            #expect(error?.limitBytes == 5)
            peer.sends("ok\n")
            // The part of the long line that was read is discarded; the following lines are intact.
            var lines: [String] = []
            while lines.last != "ok" { lines.append(try await reader.readLine() ?? "ok") }
            #expect(lines.suffix(2) == ["1", "ok"])
            writer.close()
        }
    }

    // covers: 302
    @Test(arguments: ScriptedBackend.allCases)
    func endlessLineIsNotBuffered(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 1_000)
            peer.sends([UInt8](repeating: UInt8(ascii: "x"), count: 100_000))
            let error = await #expect(throws: LimitOverrunError.self) { try await reader.readLine() }
            #expect(error?.limitBytes == 1_000)
            writer.abort()
        }
    }

    // covers: 301
    @Test(arguments: ScriptedBackend.allCases)
    func hugeSizesAllocateNoMemoryForMissingBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: .max)
            peer.sends("line\nabc")
            #expect(try await reader.readLine() == "line")
            #expect(try await reader.read(maxBytes: .max) == Array("abc".utf8))
            peer.sends("de")
            peer.ends()
            // A size that a peer announces.
            let error = await #expect(throws: IncompleteReadError.self) { try await reader.readExactly(.max) }
            #expect(error?.partial == Array("de".utf8))
            writer.close()
        }
    }

    // covers: 300
    @Test(arguments: ScriptedBackend.allCases)
    func exactlyAMillionBytesAreReadInManyPieces(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let bytes = pattern(1_000_000)
            let feeding = network.loop.createTask {
                for start in stride(from: 0, to: bytes.count, by: 30_000) {
                    peer.sends(Array(bytes[start..<min(start + 30_000, bytes.count)]))
                    await network.idle()
                }
            }
            #expect(try await reader.readExactly(999_999) == bytes.dropLast())
            #expect(try await reader.readExactly(1) == bytes.suffix(1))
            await feeding.value
            writer.close()
        }
    }

    // covers: 128, 306
    @Test(arguments: ScriptedBackend.allCases)
    func cancelledReadTakesNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let read = network.loop.createTask { try await reader.read(maxBytes: 10) }
            await network.idle()
            read.cancel()
            await #expect(throws: CancellationError.self) { try await read.value }

            peer.sends("abc")
            await network.idle()
            let exact = network.loop.createTask { try await reader.readExactly(6) }
            await network.idle()
            exact.cancel()
            await #expect(throws: CancellationError.self) { try await exact.value }

            let line = network.loop.createTask { try await reader.readLine() }
            await network.idle()
            line.cancel()
            await #expect(throws: CancellationError.self) { try await line.value }

            peer.sends("def\n")
            #expect(try await reader.readExactly(2) == Array("ab".utf8))
            #expect(try await reader.readLine() == "cdef")
            writer.close()
        }
    }

    // covers: 75, 128
    @Test(arguments: ScriptedBackend.allCases)
    func cancellationInTheIterationOfTheBytesLosesNone(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            let read = network.loop.createTask { try await reader.read(maxBytes: 10) }
            await network.idle()
            peer.sends("bytes")
            read.cancel()
            let first = (try? await read.value) ?? []
            let rest = first.isEmpty ? try await reader.read(maxBytes: 10) : []
            #expect(first + rest == Array("bytes".utf8))
            writer.close()
        }
    }

    // covers: 133, 306, F70
    @Test(arguments: ScriptedBackend.allCases)
    func secondReaderGetsBusyAndTakesNothingFromTheFirst(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("half a ")
            let first = network.loop.createTask { try await reader.readLine() }
            await network.idle()
            await expectBusy { _ = try await reader.read(maxBytes: 3) }
            await expectBusy { _ = try await reader.readExactly(3) }
            await expectBusy { _ = try await reader.readLine() }
            peer.sends("line\n")
            #expect(try await first.value == "half a line")
            writer.close()
        }
    }

    // covers: 305
    @Test(arguments: ScriptedBackend.allCases)
    func bytesBeforeAResetAreReadBeforeTheError(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            await network.idle()
            peer.sends("data")
            peer.resets()
            #expect(try await reader.read(maxBytes: 100) == Array("data".utf8))
            for _ in 0..<2 {
                let error = await #expect(throws: IOError.self) { try await reader.read(maxBytes: 100) }
                #expect(error?.errno == .connectionReset)
            }
            let error = await #expect(throws: IOError.self) { try await writer.write("x") }
            #expect(error?.errno == .connectionReset)
            await network.idle()
            #expect(peer.wasClosed)
        }
    }

    // covers: 305
    @Test(arguments: ScriptedBackend.allCases)
    func resetResumesTheReaderAndKeepsItsBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, _, peer) = try network.openStreams()
            peer.sends("ab")
            let read = network.loop.createTask { try await reader.readExactly(5) }
            await network.idle()
            peer.resets()
            await #expect(throws: IOError.self) { try await read.value }
            #expect(try await reader.read(maxBytes: 5) == Array("ab".utf8))
            await #expect(throws: IOError.self) { try await reader.read(maxBytes: 5) }
        }
    }

    // covers: 132, 308, F70
    @Test(arguments: ScriptedBackend.allCases)
    func closeResumesTheReader(backend: ScriptedBackend) async throws {
        for abort in [false, true] {
            try await withScriptedNetwork(backend) { network in
                let (reader, writer, peer) = try network.openStreams()
                let read = network.loop.createTask { try await reader.read(maxBytes: 10) }
                await network.idle()
                if abort { writer.abort() } else { writer.close() }
                let error = await #expect(throws: EventLoopError.self) { try await read.value }
                #expect(error?.code == .connectionClosed)
                try await writer.waitClosed()
                #expect(peer.wasClosed)
            }
        }
    }

    // covers: 132, 308
    @Test(arguments: ScriptedBackend.allCases)
    func closeResumesTheReaderWhileThePeerReadsNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            await network.idle()
            peer.blocksWrites()
            writer.transport.write("stuck")
            let read = network.loop.createTask { try await reader.read(maxBytes: 10) }
            await network.idle()
            writer.close()
            await network.idle()
            let error = await #expect(throws: EventLoopError.self) { try await read.value }
            #expect(error?.code == .connectionClosed)
            #expect(!peer.wasClosed)
            peer.unblocksWrites()
            try await writer.waitClosed()
            #expect(peer.writtenText == "stuck")
            #expect(peer.wasClosed)
        }
    }

    // covers: 308, 311
    @Test(arguments: ScriptedBackend.allCases, [false, true])
    func readAfterCloseFailsAndEOFMeanwhileIsHarmless(backend: ScriptedBackend, endsBefore: Bool) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("unread")
            if endsBefore { peer.ends() }
            peer.blocksWrites()
            await network.idle()
            writer.transport.write("still sent")
            writer.close()
            let error = await #expect(throws: EventLoopError.self) { try await reader.read(maxBytes: 10) }
            #expect(error?.code == .connectionClosed)
            if !endsBefore { peer.ends() }
            await network.idle()
            #expect(!peer.wasClosed)
            peer.unblocksWrites()
            try await writer.waitClosed()
            #expect(peer.writtenText == "still sent")
            #expect(peer.wasClosed)
        }
    }

    private func expectBusy(_ body: () async throws -> Void) async {
        let error = await #expect(throws: EventLoopError.self) { try await body() }
        #expect(error?.code == .busy)
    }
}
