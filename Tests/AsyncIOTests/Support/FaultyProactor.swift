import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Proactors
import SystemPackage

/// A proactor that passes operations on to another one, except for one that completes with an error of the test.
final class FaultyProactor: BaseProactor {
    /// What the fault happens to.
    enum Call: Hashable {
        case operation(ProactorOperation.Kind)
        case immediateSend, sendAtOnce, receiveAtOnce
    }

    enum Outcome: Hashable {
        /// The operation completes with the error. A close has closed the descriptor nevertheless, unless the error
        /// says that it never began.
        case fails(Errno)
        /// The proactor does not take the operation.
        case isRefused(Errno)
        /// An operation that completes several times ends with the error, behind the first of these completions.
        case endsLater(Errno)
        /// A send moves no more bytes.
        case moves(Int)
    }

    private let base: any BaseProactor
    private var call: Call?
    private var outcome = Outcome.moves(0)
    private var skipped = 0
    private var completions: [Completion] = []
    /// The operation that ends later, and the error.
    private var ending: (token: UInt64, kind: ProactorOperation.Kind, error: Errno)?

    /// Whether the fault has happened.
    private(set) var hasHappened = false

    init(_ base: any BaseProactor) { self.base = base }

    /// Prepares a fault in the `number`th call of a kind from now on.
    func inject(_ outcome: Outcome, into call: Call, number: Int) {
        (self.call, self.outcome, skipped, hasHappened) = (call, outcome, number - 1, false)
    }

    private func fault(of call: Call) -> Outcome? {
        guard call == self.call else { return nil }
        skipped -= 1
        if skipped >= 0 { return nil }
        self.call = nil
        if case .endsLater = outcome { return outcome }
        hasHappened = true
        return outcome
    }

    private func complete(_ token: UInt64, _ error: Errno, hasMore: Bool = false) {
        completions.append(Completion(token: token, result: -Int(error.rawValue), hasMore: hasMore))
    }

    func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        switch fault(of: .operation(operation.kind)) {
        case nil: try base.submit(operation, token: token)
        case .isRefused(let error): throw error
        case .fails(let error):
            if operation.kind == .close, ![.canceled, .invalidArgument].contains(error) {
                Socket(number: operation.descriptor).close()
            }
            complete(token, error)
        case .endsLater(let error):
            ending = (token, operation.kind, error)
            try base.submit(operation, token: token)
        case .moves(let count):
            let bytes = UnsafeRawBufferPointer(operation.memory)
            let fewer = UnsafeRawBufferPointer(rebasing: bytes[..<min(count, bytes.count)])
            try base.submit(.send(fewer, on: Socket(number: operation.descriptor)), token: token)
        }
    }

    func cancel(_ kind: ProactorOperation.Kind, token: UInt64) { base.cancel(kind, token: token) }

    func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        var arrived: [Completion] = []
        try base.wait(timeoutNanoseconds: completions.isEmpty ? timeoutNanoseconds : 0, into: &arrived)
        for completion in arrived { events.append(ended(completion)) }
        events += completions
        completions = []
    }

    /// Lets the operation that is to end later end, and replaces its last result by the error.
    private func ended(_ completion: Completion) -> Completion {
        guard let (token, kind, error) = ending, token == completion.token else { return completion }
        if completion.hasMore {
            base.cancel(kind, token: token)
            return completion
        }
        ending = nil
        guard completion.result == -Int(Errno.canceled.rawValue) else { return completion }
        hasHappened = true
        return Completion(token: token, result: -Int(error.rawValue))
    }

    func close() { base.close() }

    var buffers: BufferPool {
        get { base.buffers }
        set { base.buffers = newValue }
    }

    func flush() { base.flush() }
    var hasUnfinishedOperations: Bool { base.hasUnfinishedOperations }
    var supportsImmediateTransfers: Bool { base.supportsImmediateTransfers }
    var immediateSendsHaveEnded: Bool { base.immediateSendsHaveEnded }

    // MARK: Transfers that do not wait

    func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>) {
        for send in sends {
            switch fault(of: .immediateSend) {
            case nil:
                withUnsafePointer(to: send) { base.submitImmediateSends(UnsafeBufferPointer(start: $0, count: 1)) }
            case .fails(let error), .isRefused(let error), .endsLater(let error):
                complete(send.token, error, hasMore: true)
            case .moves(let count):
                let result = sendAtOnce(send.bytes, atMost: count, on: send.socket)
                if case .bytes(let count) = result {
                    completions.append(Completion(token: send.token, result: count, hasMore: true))
                } else {
                    complete(send.token, .resourceTemporarilyUnavailable, hasMore: true)
                }
            }
        }
    }

    private func sendAtOnce(_ bytes: UnsafeRawBufferPointer, atMost count: Int, on socket: Socket) -> IOResult {
        base.sendAtOnce(UnsafeRawBufferPointer(rebasing: bytes[..<min(count, bytes.count)]), on: socket)
    }

    func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult {
        switch fault(of: .sendAtOnce) {
        case nil: base.sendAtOnce(bytes, on: socket)
        case .moves(let count): sendAtOnce(bytes, atMost: count, on: socket)
        case .fails(.resourceTemporarilyUnavailable): .wouldBlock
        case .fails(let error), .isRefused(let error), .endsLater(let error): .failed(error)
        }
    }

    func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult {
        switch fault(of: .receiveAtOnce) {
        case nil, .moves: base.receiveAtOnce(into: buffer, from: socket)
        case .fails(.resourceTemporarilyUnavailable): .wouldBlock
        case .fails(let error), .isRefused(let error), .endsLater(let error): .failed(error)
        }
    }
}

/// A loop over a proactor with a fault.
final class FaultyLoop: ProactorEventLoop, @unchecked Sendable {
    /// What carries out the operations.
    enum Base: String, CaseIterable, Sendable {
        /// A scripted ring over real descriptors.
        case scripted
        case ioUring

        static let available = allCases.filter { $0 == .scripted || LoopKind.available.contains(.ioUring) }

        fileprivate func makeProactor() throws -> any BaseProactor {
            switch self {
            case .scripted: ScriptedProactor(clock: nil)
            case .ioUring: try DefaultProactor.make()
            }
        }
    }

    let faults: FaultyProactor

    init(_ base: Base) throws {
        faults = FaultyProactor(try base.makeProactor())
        try super.init(proactor: faults)
    }
}
