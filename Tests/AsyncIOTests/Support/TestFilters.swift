import AsyncIO

/// Takes and gives bytes in pieces of random sizes, and retains some in between.
final class SplittingFilter: StreamFilter {
    private var generator: SeededGenerator
    private var decoding: [UInt8] = []
    private var encoding: [UInt8] = []

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult { move(input, &decoding, &output) }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        move(input, &encoding, &output)
    }

    private func move(_ input: RawSpan, _ retained: inout [UInt8], _ output: inout OutputRawSpan) -> StreamFilterResult
    {
        let taken = input.byteCount == 0 ? 0 : Int.random(in: 1...input.byteCount, using: &generator)
        input.withUnsafeBytes { retained += $0[..<taken] }
        let room = min(retained.count, output.freeCapacity)
        let given = room == 0 ? 0 : Int.random(in: 1...room, using: &generator)
        for byte in retained[..<given] { output.append(byte) }
        retained.removeFirst(given)
        return StreamFilterResult(consumedBytes: taken, needsRoom: !retained.isEmpty)
    }
}

/// Inverts every byte, so that what a filter has not seen is recognised.
final class InvertingFilter: StreamFilter {
    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult { invert(input, &output) }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult { invert(input, &output) }

    private func invert(_ input: RawSpan, _ output: inout OutputRawSpan) -> StreamFilterResult {
        let count = min(input.byteCount, output.freeCapacity)
        for offset in 0..<count { output.append(~input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
        return StreamFilterResult(consumedBytes: count, needsRoom: count < input.byteCount)
    }
}

/// Greets with `HELLO`, is established by the peer's `HELLO`, and ends the bytes with a zero byte.
///
/// A wrong greeting, and EOF without the zero byte, are errors. What it throws is preceded by `ALERT`.
final class GreetingFilter: StreamFilter {
    struct Failure: Error, Equatable {
        let reason: String
    }

    private static let greeting = Array("HELLO".utf8)
    private var hasGreeted = false
    private(set) var isEstablished = false
    let establishmentTimeout: Duration?
    let finishTimeout: Duration

    init(establishmentTimeout: Duration? = .seconds(10), finishTimeout: Duration = .seconds(5)) {
        self.establishmentTimeout = establishmentTimeout
        self.finishTimeout = finishTimeout
    }

    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) throws -> StreamFilterResult {
        if !hasGreeted {
            hasGreeted = true
            for byte in Self.greeting { replies.append(byte) }
        }
        let bytes = input.withUnsafeBytes { Array($0) }
        if !isEstablished {
            let count = min(bytes.count, Self.greeting.count)
            if bytes[..<count] != Self.greeting[..<count] {
                for byte in Array("ALERT".utf8) { replies.append(byte) }
                throw Failure(reason: "no greeting")
            }
            if count < Self.greeting.count { return StreamFilterResult(consumedBytes: 0) }
            isEstablished = true
            return StreamFilterResult(consumedBytes: count, needsRoom: bytes.count > count)
        }
        let count = min(bytes.firstIndex(of: 0) ?? bytes.count, output.freeCapacity)
        for byte in bytes[..<count] { output.append(byte) }
        let hasEnded = count < bytes.count && bytes[count] == 0
        return StreamFilterResult(
            consumedBytes: hasEnded ? count + 1 : count, needsRoom: !hasEnded && count < bytes.count, hasEnded: hasEnded
        )
    }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        let count = min(input.byteCount, output.freeCapacity)
        for offset in 0..<count { output.append(input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
        return StreamFilterResult(consumedBytes: count, needsRoom: count < input.byteCount)
    }

    func finish(into output: inout OutputRawSpan) {
        output.append(UInt8(0))
    }

    func receivedEOF() throws {
        throw Failure(reason: "cut off")
    }
}

/// Sends every received byte back as a reply.
final class RepeatingFilter: StreamFilter {
    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult {
        let count = min(input.byteCount, output.freeCapacity, replies.freeCapacity)
        for offset in 0..<count {
            let byte = input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            output.append(byte)
            replies.append(byte)
        }
        return StreamFilterResult(consumedBytes: count, needsRoom: count < input.byteCount)
    }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        for offset in 0..<input.byteCount { output.append(input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
        return StreamFilterResult(consumedBytes: input.byteCount)
    }
}

/// Consumes a number of bytes in all, and gives them one by one.
final class HoardingFilter: StreamFilter {
    private var remaining: Int
    private var held: [UInt8] = []

    init(consumes count: Int) {
        remaining = count
    }

    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult {
        let count = min(remaining, input.byteCount)
        input.withUnsafeBytes { held += $0[..<count] }
        remaining -= count
        if !held.isEmpty { output.append(held.removeFirst()) }
        return StreamFilterResult(consumedBytes: count, needsRoom: !held.isEmpty)
    }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        for offset in 0..<input.byteCount { output.append(input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
        return StreamFilterResult(consumedBytes: input.byteCount)
    }
}

/// Takes all bytes at once, and gives half of what it holds at a time.
final class HalvingFilter: StreamFilter {
    private var encoding: [UInt8] = []

    func decode(
        _ input: RawSpan, into output: inout OutputRawSpan, replies: inout OutputRawSpan
    ) -> StreamFilterResult {
        for offset in 0..<input.byteCount { output.append(input.unsafeLoad(fromByteOffset: offset, as: UInt8.self)) }
        return StreamFilterResult(consumedBytes: input.byteCount)
    }

    func encode(_ input: RawSpan, into output: inout OutputRawSpan) -> StreamFilterResult {
        input.withUnsafeBytes { encoding += $0 }
        let given = min((encoding.count + 1) / 2, output.freeCapacity)
        for byte in encoding[..<given] { output.append(byte) }
        encoding.removeFirst(given)
        return StreamFilterResult(consumedBytes: input.byteCount, needsRoom: !encoding.isEmpty)
    }
}
