import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Proactors
import SystemPackage
import Testing

/// A proactor that a test uses without a loop.
enum ProactorKind: String, CaseIterable, Sendable {
    case scripted
    #if os(Linux)
    case ioUring
    #endif

    /// Those that this machine allows. The suites with ``ioUringTrait`` report it when io_uring is forbidden.
    static let available = allCases.filter { $0 == .scripted || ioUringRefusal == nil }

    func make() throws -> any BaseProactor {
        switch self {
        case .scripted: return ScriptedProactor(clock: nil)
        #if os(Linux)
        case .ioUring: return try IOUringProactor()
        #endif
        }
    }
}

#if os(Linux)
/// Why this machine forbids io_uring; `nil` if it allows it.
let ioUringRefusal: String? = IOUringProbe.probe().refusal.map { "\($0)" }

/// Skips a suite where the machine forbids io_uring, and says so.
let ioUringTrait: ConditionTrait = .enabled(
    if: ioUringRefusal == nil, "io_uring cannot be used here: \(ioUringRefusal ?? "it can")")
#else
let ioUringRefusal: String? = "not Linux"
#endif

/// A proactor without a loop, whose operations have the tokens 1, 2, ...
final class DirectProactor {
    let proactor: any BaseProactor
    private let waker: Waker
    private var count: UInt64 = 0
    /// The operations without a last completion.
    private(set) var pending: Set<UInt64> = []
    /// What a proactor must not do: a completion of an operation that is not pending.
    private(set) var mistakes: [String] = []

    convenience init(_ kind: ProactorKind) throws { try self.init(try kind.make()) }

    init(_ proactor: any BaseProactor) throws {
        self.proactor = proactor
        waker = try Waker()
        // For the scripted proactor, the first poll is that of a loop's waker.
        if proactor is ScriptedProactor { try proactor.submit(.poll(waker.descriptor, for: .read), token: .max) }
    }

    @discardableResult func submit(_ operation: ProactorOperation) throws -> UInt64 {
        count += 1
        pending.insert(count)
        do {
            try proactor.submit(operation, token: count)
        } catch {
            pending.remove(count)
            throw error
        }
        return count
    }

    /// Returns what has completed, or waits until `number` operations have.
    func completions(_ number: Int = 0) throws -> [Completion] {
        var completions: [Completion] = []
        repeat {
            let countBefore = completions.count
            try proactor.wait(timeoutNanoseconds: number == 0 ? 0 : 60_000_000_000, into: &completions)
            if number > 0, completions.count == countBefore {
                mistakes.append("nothing has completed for a minute")
                break
            }
        } while completions.count < number
        for completion in completions { record(completion) }
        return completions
    }

    private func record(_ completion: Completion) {
        let isPending =
            completion.hasMore ? pending.contains(completion.token) : pending.remove(completion.token) != nil
        if !isPending { mistakes.append("\(completion), which is not pending") }
    }

    /// Returns all completions of an operation up to its last one. Nothing else may be pending.
    func all(of token: UInt64) throws -> [Completion] {
        var found: [Completion] = []
        while pending.contains(token), mistakes.isEmpty { found += try completions(1) }
        return found
    }

    /// Returns the result of an operation. Nothing else may be pending.
    func result(of operation: ProactorOperation) throws -> Int {
        let token = try submit(operation)
        let completions = try all(of: token)
        #expect(completions.map(\.token) == [token])
        return completions[0].result
    }

    func cancel(_ kind: ProactorOperation.Kind, _ token: UInt64) { proactor.cancel(kind, token: token) }

    /// Returns the buffer of a completion to the pool.
    func put(_ completion: Completion) {
        if let buffer = completion.buffer { proactor.buffers.put(buffer.memory, buffer.size) }
    }

    func close() {
        proactor.close()
        #expect(mistakes == [])
    }
}

extension Socket {
    func sendNow(_ text: String) -> Int { sendBytes(Array(text.utf8)) }

    /// Returns the number of bytes that the kernel has taken.
    func sendBytes(_ bytes: some Sequence<UInt8>) -> Int {
        guard case .bytes(let count) = Array(bytes).withUnsafeBytes({ send($0) }) else { return 0 }
        return count
    }

    /// Returns the bytes that have arrived, up to `most`.
    func receiveBytes(_ most: Int = 1 << 20) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
            if case .bytes(let received) = receive(into: UnsafeMutableRawBufferPointer(buffer)) { count = received }
        }
    }

    func receiveText(_ most: Int = 1 << 20) -> String { String(decoding: receiveBytes(most), as: UTF8.self) }

    /// Fills the send buffer. Returns the number of bytes.
    @discardableResult func fillSendBuffer() -> Int {
        let filler = [UInt8](repeating: 0, count: 1 << 16)
        var filled = 0
        while case .bytes(let count) = filler.withUnsafeBytes({ send($0) }) { filled += count }
        return filled
    }

    /// Receives and drops `count` bytes.
    func drop(_ count: Int) {
        var dropped = 0
        while dropped < count { dropped += receiveBytes(count - dropped).count }
    }
}

/// What a completion with an error has as its result.
func failure(_ error: Errno) -> Int { -Int(error.rawValue) }
