import AsyncIOSystem
import Proactors
import Selectors
import SystemPackage

/// A proactor that passes all operations to another one, until a test replaces the system calls of sockets. From then
/// on it makes those calls itself, when a poll operation of the other proactor reports that they would not block.
///
/// An operation that has begun with replaced calls ends here, even if they are no longer replaced.
final class ReplaceableCallsProactor: BaseProactor, MakesSystemCalls, ReadinessSource {
    /// The bit that the tokens of this object's polls have, and no token of a loop.
    private static let pollBit: UInt64 = 1 << 61
    /// How often the wrapped proactor is asked for the completions of operations that were cancelled.
    private static let mostPolls = 1_000_000

    private let proactor: any BaseProactor
    private let real = RealOperations()
    /// The operations of the wrapped proactor that make replaceable calls.
    private var passedOn: [UInt64: ProactorOperation] = [:]
    /// What has completed before the wait.
    private var completions: [Completion] = []

    private var pollCount: UInt64 = 0
    /// The polls in progress, by descriptor.
    private var polls: [CInt: UInt64] = [:]
    /// Their descriptors. Other completions with a token of a poll are those of cancelled ones.
    private var polled: [UInt64: CInt] = [:]

    /// Creates a proactor around `proactor`, which it owns from then on.
    init(_ proactor: any BaseProactor) {
        self.proactor = proactor
    }

    var buffers: BufferPool {
        get { proactor.buffers }
        set { proactor.buffers = newValue }
    }

    var systemCalls: (any SystemCalls)? {
        get { real.calls }
        set {
            real.calls = newValue
            if newValue != nil { takeOver() }
        }
    }

    func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        let isReplaceable = RealOperations.makesReplaceableCall(operation.kind)
        if isReplaceable, systemCalls != nil { return real.submit(operation, token) }
        try proactor.submit(operation, token: token)
        if isReplaceable { passedOn[token] = operation }
    }

    func cancel(_ kind: ProactorOperation.Kind, token: UInt64) {
        if real.cancel(token, on: self) { return }
        passedOn[token] = nil
        proactor.cancel(kind, token: token)
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        real.begin(on: self)
        let hasEvents = !completions.isEmpty || real.hasCompletions
        var arrived: [Completion] = []
        try proactor.wait(timeoutNanoseconds: hasEvents ? 0 : timeoutNanoseconds, into: &arrived)
        for completion in arrived where completion.token & Self.pollBit != 0 { pollCompleted(completion) }
        events += completions
        completions = []
        for completion in arrived where completion.token & Self.pollBit == 0 {
            if !completion.hasMore { passedOn[completion.token] = nil }
            events.append(completion)
        }
        events += real.takeCompletions()
    }

    func flush() {
        real.begin(on: self)
        proactor.flush()
    }

    var hasUnfinishedOperations: Bool { proactor.hasUnfinishedOperations }

    var receivesMessages: Bool { proactor.receivesMessages }

    var supportsImmediateTransfers: Bool { proactor.supportsImmediateTransfers }

    var immediateSendsHaveEnded: Bool { proactor.immediateSendsHaveEnded }

    func submitImmediateSends(_ sends: UnsafeBufferPointer<ImmediateSend>) {
        guard let systemCalls else { return proactor.submitImmediateSends(sends) }
        for send in sends {
            switch systemCalls.send(send.socket, send.bytes) {
            case .bytes(send.bytes.count): break
            case .bytes(let count): completions.append(Completion(token: send.token, result: count, hasMore: true))
            case .wouldBlock: fail(send.token, .resourceTemporarilyUnavailable)
            case .failed(let error): fail(send.token, error)
            }
        }
    }

    private func fail(_ token: UInt64, _ error: Errno) {
        completions.append(Completion(token: token, result: -Int(error.rawValue), hasMore: true))
    }

    func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, from socket: Socket) -> IOResult {
        systemCalls?.receive(socket, into: buffer) ?? proactor.receiveAtOnce(into: buffer, from: socket)
    }

    func sendAtOnce(_ bytes: UnsafeRawBufferPointer, on socket: Socket) -> IOResult {
        systemCalls?.send(socket, bytes) ?? proactor.sendAtOnce(bytes, on: socket)
    }

    func close() {
        for completion in completions + real.takeCompletions() {
            if let buffer = completion.buffer { buffers.put(buffer.memory, buffer.size) }
        }
        completions = []
        passedOn = [:]
        real.removeAll()
        real.calls = nil
        proactor.close()
    }

    /// Ends the operations of the wrapped proactor and begins them again here, so that replaced calls have an effect on
    /// operations that were submitted before.
    private func takeOver() {
        for (token, operation) in passedOn { proactor.cancel(operation.kind, token: token) }
        for _ in 0..<Self.mostPolls where !passedOn.isEmpty {
            var arrived: [Completion] = []
            do { try proactor.wait(timeoutNanoseconds: 0, into: &arrived) } catch { return }
            for completion in arrived {
                let operation = completion.hasMore ? nil : passedOn.removeValue(forKey: completion.token)
                if let operation, completion.result == -Int(Errno.canceled.rawValue) {
                    real.submit(operation, completion.token, wasAttempted: true)
                } else {
                    completions.append(completion)
                }
            }
        }
    }

    // MARK: Readiness

    var reportsOnce: Bool { true }

    func watch(
        _ descriptor: CInt, for interest: Interest, insteadOf former: Interest
    ) throws(Errno) {
        if let poll = polls.removeValue(forKey: descriptor) {
            polled[poll] = nil
            proactor.cancel(.poll, token: poll)
        }
        if interest.isEmpty { return }
        pollCount += 1
        let token = pollCount | Self.pollBit
        try proactor.submit(.poll(FileDescriptor(rawValue: descriptor), for: interest), token: token)
        (polls[descriptor], polled[token]) = (token, descriptor)
    }

    private func pollCompleted(_ completion: Completion) {
        guard let descriptor = polled.removeValue(forKey: completion.token) else { return }
        polls[descriptor] = nil
        // After an error, the calls find out its reason.
        let readiness: Readiness =
            completion.result < 0
            ? [.read, .write] : Readiness(rawValue: UInt8(truncatingIfNeeded: completion.result))
        real.becameReady(descriptor, readiness, on: self)
    }
}
