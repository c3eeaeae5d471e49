import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// Reading up to a separator, and up to EOF.
struct ReadUntilTests {
    // covers: 300
    @Test(arguments: ScriptedBackend.allCases, [1, 2, 3, 5, 100])
    func separatorMayArriveInPieces(backend: ScriptedBackend, chunk: Int) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            var rest = Array("head\r\n\r\n\r\r\n\r\nbody;a,b;".utf8)
            let feeding = network.loop.createTask {
                while !rest.isEmpty {
                    peer.sends(Array(rest.prefix(chunk)))
                    rest.removeFirst(min(chunk, rest.count))
                    await network.idle()
                }
            }
            #expect(try await reader.readUntil("\r\n\r\n") == Array("head\r\n\r\n".utf8))
            #expect(try await reader.readUntil("\r\n\r\n") == Array("\r\r\n\r\n".utf8))
            #expect(try await reader.read(maxBytes: 1) == Array("b".utf8))
            // The separator that ends first, however long it is.
            #expect(try await reader.readUntil(anyOf: [Array(";".utf8), Array("dy;".utf8)]) == Array("ody;".utf8))
            #expect(try await reader.readUntil(anyOf: [[UInt8(ascii: ";")], [UInt8(ascii: ",")]]) == Array("a,".utf8))
            #expect(try await reader.readUntil([UInt8(ascii: ";")]) == Array("b;".utf8))
            await feeding.value
            writer.close()
        }
    }

    // covers: 302
    @Test(arguments: ScriptedBackend.allCases, [1, 3, 100])
    func bytesBeyondTheLimitCanStillBeRead(backend: ScriptedBackend, chunk: Int) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 5)
            var rest = Array("12345\r\n1234567\r\nnext\r\n".utf8)
            let feeding = network.loop.createTask {
                while !rest.isEmpty {
                    peer.sends(Array(rest.prefix(chunk)))
                    rest.removeFirst(min(chunk, rest.count))
                    await network.idle()
                }
            }
            #expect(try await reader.readUntil("\r\n") == Array("12345\r\n".utf8))
            var long: [UInt8] = []
            for _ in 0..<2 {
                // Repeatedly, without taking anything.
                for _ in 0..<2 {
                    let error = await #expect(throws: LimitOverrunError.self) { try await reader.readUntil("\r\n") }
                    #expect(error?.consumedBytes == 6)
                    #expect(error?.limitBytes == 5)
                }
                long += try await reader.readExactly(1)
            }
            long += try await reader.readUntil("\r\n")
            #expect(long == Array("1234567\r\n".utf8))
            #expect(try await reader.readUntil("\r\n") == Array("next\r\n".utf8))
            await feeding.value
            writer.close()
        }
    }

    // covers: 302
    @Test(arguments: ScriptedBackend.allCases)
    func missingSeparatorBuffersNoMoreThanTheLimit(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 1_000)
            peer.sends([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
            let error = await #expect(throws: LimitOverrunError.self) {
                try await reader.readUntil(String(repeating: "a", count: 50) + "b")
            }
            #expect(error?.consumedBytes == 1_001)
            writer.abort()
        }
    }

    // covers: 303
    @Test(arguments: ScriptedBackend.allCases)
    func emptySeparatorIsRejectedAndTakesNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("abc")
            #expect(await asyncCode { _ = try await reader.readUntil("") } == .invalidArgument)
            #expect(await asyncCode { _ = try await reader.readUntil([UInt8]()) } == .invalidArgument)
            #expect(await asyncCode { _ = try await reader.readUntil(anyOf: []) } == .invalidArgument)
            #expect(await asyncCode { _ = try await reader.readUntil(anyOf: [[1], []]) } == .invalidArgument)
            #expect(await asyncCode { _ = try await reader.readAll(limitBytes: -1) } == .invalidArgument)
            #expect(try await reader.readExactly(3) == Array("abc".utf8))
            writer.close()
        }
    }

    // covers: 301
    @Test(arguments: ScriptedBackend.allCases)
    func eofBeforeTheSeparatorThrowsTheReceivedBytes(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends("one;tw")
            peer.ends()
            #expect(!reader.isAtEOF)
            #expect(try await reader.readUntil(";") == Array("one;".utf8))
            #expect(!reader.isAtEOF)
            let error = await #expect(throws: IncompleteReadError.self) { try await reader.readUntil(";") }
            #expect(error?.partial == Array("tw".utf8))
            #expect(error?.expectedBytes == nil)
            #expect(reader.isAtEOF)
            let again = await #expect(throws: IncompleteReadError.self) { try await reader.readUntil(";") }
            #expect(again?.partial == [])
            #expect(try await reader.readAll(limitBytes: 0).isEmpty)
            writer.close()
        }
    }

    // covers: 300, 302
    @Test(arguments: ScriptedBackend.allCases)
    func readAllHasALimitAndKeepsTheBytesBeyondIt(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 10)
            let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 251) }
            peer.sends("line\n")
            peer.sends(bytes)
            peer.ends()
            #expect(try await reader.readLine() == "line")
            for limit in [0, 1, 65_536, bytes.count - 1] {
                await #expect(throws: LimitOverrunError.self) { _ = try await reader.readAll(limitBytes: limit) }
                #expect(!reader.isAtEOF)
            }
            #expect(try await reader.readAll(limitBytes: bytes.count) == bytes)
            #expect(reader.isAtEOF)
            #expect(try await reader.readAll(limitBytes: .max).isEmpty)
            writer.close()
        }
    }

    // covers: 128, 306
    @Test(arguments: ScriptedBackend.allCases)
    func cancelledReadUntilLosesNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            var sent = ""
            let operations: [() async throws -> Void] = [
                { _ = try await reader.readUntil("\r\n") },
                { _ = try await reader.readAll(limitBytes: 1_000) },
                { _ = try await reader.readUntil(anyOf: [[0], [1, 2]]) },
                { for try await _ in reader.lines {} },
            ]
            for (number, operation) in operations.enumerated() {
                let task = network.loop.createTask { try await operation() }
                await network.idle()
                peer.sends("piece \(number), ")
                sent += "piece \(number), "
                await network.idle()
                await expectBusy { _ = try await reader.readUntil(";") }
                await expectBusy { _ = try await reader.readAll(limitBytes: 10) }
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            peer.ends()
            #expect(try await reader.readAll(limitBytes: 1_000) == Array(sent.utf8))
            writer.close()
        }
    }

    // covers: 305
    @Test(arguments: ScriptedBackend.allCases)
    func resetIsThrownByTheWaitingReadAndByLaterReads(backend: ScriptedBackend) async throws {
        let operations: [(StreamReader) async throws -> Void] = [
            { _ = try await $0.readUntil(";") }, { _ = try await $0.readAll(limitBytes: 100) },
            { _ = try await $0.readLine() }, { for try await _ in $0.lines {} },
        ]
        nonisolated(unsafe) let sent = operations
        try await withScriptedNetwork(backend) { network in
            for operation in sent {
                let (reader, _, peer) = try network.openStreams()
                peer.sends("ab")
                let read = network.loop.createTask { try await operation(reader) }
                await network.idle()
                peer.resets()
                let error = await #expect(throws: IOError.self) { try await read.value }
                #expect(error?.errno == .connectionReset)
                #expect(!reader.isAtEOF)
                for _ in 0..<2 {
                    let later = await #expect(throws: IOError.self) { try await operation(reader) }
                    #expect(later?.errno == .connectionReset)
                }
                // The bytes are not lost with the connection.
                #expect(try await reader.read(maxBytes: 5) == Array("ab".utf8))
                await #expect(throws: IOError.self) { try await reader.read(maxBytes: 5) }
            }
        }
    }

    // covers: 300, 301
    @Test(arguments: ScriptedBackend.allCases)
    func linesAndChunksAreSequences(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams()
            peer.sends(Array("first\nsec\r\n".utf8) + [0xff, UInt8(ascii: "x"), 0xc3, UInt8(ascii: "\n")])
            peer.sends(Array("stop\nchunks".utf8))
            var lines: [String] = []
            for try await line in reader.lines {
                lines.append(line)
                if line == "stop" { break }
            }
            #expect(lines == ["first", "sec", "\u{fffd}x\u{fffd}", "stop"])
            let feeding = network.loop.createTask {
                for _ in 0..<3 {
                    await network.idle()
                    peer.sends([UInt8](repeating: UInt8(ascii: "c"), count: 100_000))
                }
                peer.ends()
            }
            var bytes: [UInt8] = []
            for try await chunk in reader.chunks {
                #expect(!chunk.isEmpty && chunk.count <= 65_536)
                bytes += chunk
            }
            #expect(bytes == Array("chunks".utf8) + [UInt8](repeating: UInt8(ascii: "c"), count: 300_000))
            for try await line in reader.lines { Issue.record("\(line) came after the end") }
            await feeding.value
            writer.close()
        }
    }

    /// Bytes that no task reads stay in the kernel, and so hold back the peer.
    // covers: 304
    @Test(arguments: ScriptedBackend.allCases)
    func nothingIsReceivedWhileNoTaskReads(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 100)
            let bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000)
            peer.sends(Array("line\n".utf8) + bytes)
            #expect(try await reader.readLine() == "line")
            await network.idle()
            // A driver may have one receive in flight.
            let receives = peer.receives
            for _ in 0..<5 { await network.idle() }
            peer.sends([1])
            for _ in 0..<5 { await network.idle() }
            #expect(peer.receives <= receives + 1)
            #expect(try await reader.readExactly(bytes.count) == bytes)
            #expect(try await reader.readExactly(1) == [1])
            writer.close()
        }
    }

    private func expectBusy(_ body: () async throws -> Void) async {
        #expect(await asyncCode(body) == .busy)
    }
}
