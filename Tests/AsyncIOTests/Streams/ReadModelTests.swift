import AsyncIO
import AsyncIOTesting
import Testing

/// Compares reading up to separators and lines with a model that sees the whole stream at once, however the bytes
/// arrive in pieces, and however often the reading task is cancelled and started again.
struct ReadModelTests {
    private enum Outcome: Equatable {
        case piece([UInt8])
        case overrun
        case incomplete([UInt8])
    }

    // covers: 128, 300, 301, 302
    @Test(arguments: ScriptedBackend.allCases, 1...8)
    func readUntilMatchesTheModel(backend: ScriptedBackend, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<rounds(debug: 20, full: 200) {
            // Only two different bytes, so that separators overlap with themselves and with each other.
            func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 97...98, using: &random) } }
            let stream = bytes(Int.random(in: 0...40, using: &random))
            let separators = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                bytes(Int.random(in: 1...5, using: &random)) + (Bool.random(using: &random) ? [] : [99])
            }
            let limit = Bool.random(using: &random) ? Int.random(in: 1...8, using: &random) : .max - 2
            var whole = stream
            for _ in 0..<3 { whole.insert(99, at: Int.random(in: 0...whole.count, using: &random)) }
            var pieces: [[UInt8]] = []
            var rest = whole[...]
            while !rest.isEmpty {
                pieces.append(Array(rest.prefix(Int.random(in: 1...7, using: &random))))
                rest = rest.dropFirst(pieces[pieces.count - 1].count)
            }
            let cancels = (0..<8).map { _ in Bool.random(using: &random) }
            try await read(whole, in: pieces, separators, limit, cancels, backend)
        }
    }

    private func read(
        _ whole: [UInt8], in pieces: [[UInt8]], _ separators: [[UInt8]], _ limit: Int, _ cancels: [Bool],
        _ backend: ScriptedBackend
    ) async throws {
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: limit)
            let feeding = network.loop.createTask {
                for piece in pieces {
                    peer.sends(piece)
                    await network.idle()
                }
                peer.ends()
            }
            var left = whole[...]
            var turn = 0
            while true {
                let reading = network.loop.createTask { try await reader.readUntil(anyOf: separators) }
                turn += 1
                if cancels[turn % cancels.count], turn < 100 {
                    await network.loop.yield()
                    reading.cancel()
                }
                let outcome: Outcome
                do {
                    outcome = .piece(try await reading.value)
                } catch is CancellationError {
                    continue
                } catch let error as LimitOverrunError {
                    outcome = .overrun
                    #expect(error.consumedBytes > limit)
                    let consumed = try await reader.readExactly(error.consumedBytes)
                    #expect(firstMatch(of: separators, in: consumed[...]) == nil)
                    #expect(model(left, separators, limit) == outcome)
                    #expect(left.starts(with: consumed))
                    left = left.dropFirst(consumed.count)
                    continue
                } catch let error as IncompleteReadError {
                    outcome = .incomplete(error.partial)
                }
                #expect(outcome == model(left, separators, limit), "\(Array(left)) \(separators) \(limit)")
                guard case .piece(let piece) = outcome else { break }
                left = left.dropFirst(piece.count)
            }
            #expect(reader.isAtEOF)
            await feeding.value
            writer.close()
        }
    }

    private func model(_ left: ArraySlice<UInt8>, _ separators: [[UInt8]], _ limit: Int) -> Outcome {
        if let match = firstMatch(of: separators, in: left) {
            return match.lowerBound - left.startIndex > limit
                ? .overrun : .piece(Array(left[left.startIndex..<match.upperBound]))
        }
        let longest = separators.map(\.count).max() ?? 0
        return left.count + 1 - longest > limit ? .overrun : .incomplete(Array(left))
    }

    /// Searches by the end of the match, and of several matches takes the shortest.
    private func firstMatch(of separators: [[UInt8]], in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        for end in bytes.startIndex...bytes.endIndex {
            for separator in separators.sorted(by: { $0.count < $1.count }) {
                let start = end - separator.count
                if start >= bytes.startIndex, bytes[start..<end].elementsEqual(separator) { return start..<end }
            }
        }
        return nil
    }

    // covers: 128, 300, 301
    @Test(arguments: ScriptedBackend.allCases, 1...7)
    func linesOfInvalidTextDoNotDependOnThePieces(backend: ScriptedBackend, chunk: Int) async throws {
        let lines: [[UInt8]] = [
            Array("é€😀".utf8), [0xf0, 0x9f, 0x98], [0xff], [], [0x0d], [0x61, 0x0d, 0x0d], [0xc3, 0x0d],
            [0x62, 0x0d, 0x63], [0xe2, 0x82],
        ]
        let whole = lines.map { $0 + [0x0a] }.joined().dropLast()
        try await withScriptedNetwork(backend) { network in
            let (reader, writer, peer) = try network.openStreams(limitBytes: 9)
            let feeding = network.loop.createTask {
                var rest = Array(whole)[...]
                while !rest.isEmpty {
                    peer.sends(Array(rest.prefix(chunk)))
                    rest = rest.dropFirst(chunk)
                    await network.idle()
                }
                peer.ends()
            }
            var read: [String] = []
            while true {
                let reading = network.loop.createTask { try await reader.readLine() }
                await network.loop.yield()
                if read.count % 2 == 0 { reading.cancel() }
                do {
                    guard let line = try await reading.value else { break }
                    read.append(line)
                } catch is CancellationError {
                    guard let line = try await reader.readLine() else { break }
                    read.append(line)
                }
            }
            let expected = lines.map { line in
                String(decoding: line.last == 0x0d ? line.dropLast() : line[...], as: UTF8.self)
            }
            #expect(read == expected)
            await feeding.value
            writer.close()
        }
    }
}
