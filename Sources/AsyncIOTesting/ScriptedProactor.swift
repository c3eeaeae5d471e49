public import Proactors
public import SystemPackage

/// A proactor that the test plays: it carries nothing out, and completes what it was told to complete.
///
/// Only the loop's waker is watched for real. See ``ScriptedPoller`` for how it waits.
public final class ScriptedProactor: ScriptedPoller, BaseProactor {
    /// What was submitted and has not completed.
    public struct Operation {
        public var token: UInt64
        public var submission: Submission
        /// Whether the loop has asked for its end.
        public var isCancelled = false
    }

    /// The operations under way, oldest first, without the one of the loop's waker.
    public private(set) var operations: [Operation] = []
    /// Whether an operation ends at once when it is cancelled. Otherwise it stays until the test completes it.
    public var cancelsAtOnce = true
    /// What the next submission fails with.
    public var nextError: Errno?

    /// Called after each submission and each cancellation that stays.
    var changed: (() -> Void)?
    private var wakerToken: UInt64?
    private var completions: [Completion] = []

    public override init(clock: VirtualClock) {
        super.init(clock: clock)
    }

    /// Completes an operation in the loop's next wait, with its result or with a negated `errno`. Whether it was under way.
    @discardableResult
    public func complete(_ token: UInt64, result: Int) -> Bool {
        guard let index = operations.firstIndex(where: { $0.token == token }) else { return false }
        operations.remove(at: index)
        completions.append(Completion(token: token, result: result))
        return true
    }

    /// Completes a receive with bytes, as many of them as fit. How many that were.
    @discardableResult
    public func complete(_ token: UInt64, receiving bytes: [UInt8]) -> Int {
        guard case .receive(_, let memory)? = operations.first(where: { $0.token == token })?.submission else {
            return 0
        }
        let fitting = bytes.prefix(memory.count)
        memory.copyBytes(from: fitting)
        complete(token, result: fitting.count)
        return fitting.count
    }

    public func submit(_ submission: Submission, token: UInt64) throws(Errno) {
        if case .pollReadable(let descriptor) = submission {
            if waker == nil { try watchWaker(FileDescriptor(rawValue: descriptor)) }
            if descriptor == waker?.rawValue {
                wakerToken = token
                return
            }
        }
        if let error = nextError.take() { throw error }
        precondition(!operations.contains { $0.token == token }, "two operations have the same token")
        operations.append(Operation(token: token, submission: submission))
        changed?()
    }

    public func cancel(token: UInt64) {
        guard let index = operations.firstIndex(where: { $0.token == token }) else { return }
        operations[index].isCancelled = true
        if cancelsAtOnce {
            complete(token, result: -Int(Errno.canceled.rawValue))
        } else {
            changed?()
        }
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        if try rest(timeoutNanoseconds: timeoutNanoseconds, hasEvents: !completions.isEmpty),
            let token = wakerToken.take()
        {
            events.append(Completion(token: token, result: 1))
        }
        events += completions
        completions.removeAll()
    }
}
