public import AsyncIOSystem
public import Proactors
import Selectors
public import SystemPackage

/// A proactor that the test controls: it completes what the test completes, and carries out all other operations.
///
/// The test controls the operations on the descriptors of a ``ScriptedPeer``, or all operations if
/// ``carriesOutOperations`` is false. The others are carried out with the system's own calls, as soon as a selector
/// reports that they would not block. So this is a complete proactor, although not a fast one. ``ScriptedPoller``
/// documents how it waits.
public final class ScriptedProactor: ScriptedPoller, BaseProactor, MakesSystemCalls {
    /// An operation that was submitted and has not completed.
    public struct Operation {
        public var token: UInt64
        public var operation: ProactorOperation
        /// Whether the loop has requested its end.
        public var isCancelled = false
    }

    /// Whether operations on descriptors that no ``ScriptedPeer`` owns are carried out.
    public var carriesOutOperations = true
    /// The scripted operations in progress, oldest first, without that of the loop's waker.
    public private(set) var operations: [Operation] = []
    /// Whether an operation completes at once when it is cancelled. Otherwise it stays until the test completes it.
    public var cancelsAtOnce = true
    /// The error of the next submission.
    public var nextError: Errno?

    /// Whether it carries out operations of the kind `receiveMessages`. Without them, a loop polls datagram sockets.
    public var receivesMessages = true

    /// Called after each submission, and after each cancellation that does not complete at once.
    var changed: (() -> Void)?
    private var wakerToken: UInt64?
    private var completions: [Completion] = []
    private let real = RealOperations()

    /// Creates a proactor for a loop with the same clock. `nil` means the system's clock, and waits in real time.
    public override init(clock: VirtualClock?) {
        super.init(clock: clock)
    }

    package var systemCalls: (any SystemCalls)? {
        get { real.calls }
        set { real.calls = newValue }
    }

    /// Completes an operation in the loop's next wait, with its result or with a negated `errno`. Returns whether it
    /// was in progress.
    ///
    /// - Parameters:
    ///   - hasMore: Whether the operation continues.
    ///   - buffer: The buffer of the pool with the received bytes.
    @discardableResult
    public func complete(_ token: UInt64, result: Int, hasMore: Bool = false, buffer: PooledBuffer? = nil) -> Bool {
        guard let index = operations.firstIndex(where: { $0.token == token }) else { return false }
        if !hasMore { operations.remove(at: index) }
        completions.append(Completion(token: token, result: result, hasMore: hasMore, buffer: buffer))
        return true
    }

    /// Completes a receive with as many of the bytes as fit. Returns their number.
    @discardableResult public func complete(_ token: UInt64, receiving bytes: [UInt8]) -> Int {
        guard let operation = operations.first(where: { $0.token == token })?.operation else { return 0 }
        switch operation.kind {
        case .receive:
            let fitting = bytes.prefix(operation.memory.count)
            operation.memory.copyBytes(from: fitting)
            complete(token, result: fitting.count)
            return fitting.count
        case .receiveIntoPool:
            let buffer = takeBuffer(for: operation)
            let fitting = bytes.prefix(buffer.bytes.count)
            buffer.bytes.copyBytes(from: fitting)
            complete(token, result: fitting.count, hasMore: true, buffer: buffer)
            return fitting.count
        default: return 0
        }
    }

    /// Returns a buffer of the pool for an operation of kind `receiveIntoPool`.
    func takeBuffer(for operation: ProactorOperation) -> PooledBuffer {
        PooledBuffer(buffers.take(operation.bufferSize), operation.bufferSize)
    }

    public func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        if operation.kind == .poll {
            if waker == nil { try watchWaker(FileDescriptor(rawValue: operation.descriptor), token: 0) }
            if operation.descriptor == waker?.rawValue {
                wakerToken = token
                return
            }
        }
        if let error = nextError.take() { throw error }
        // Closed with the system call, so that a test sees when that happens.
        if operation.kind == .close, isScripted(FileDescriptor(rawValue: operation.descriptor)) {
            throw .notSupportedOnSocket
        }
        if carriesOutOperations, !isScripted(FileDescriptor(rawValue: operation.descriptor)) {
            return real.submit(operation, token)
        }
        precondition(!operations.contains { $0.token == token }, "two operations have the same token")
        operations.append(Operation(token: token, operation: operation))
        changed?()
    }

    public func cancel(_ kind: ProactorOperation.Kind, token: UInt64) {
        if token == wakerToken {
            wakerToken = nil
            completions.append(Completion(token: token, result: -Int(Errno.canceled.rawValue)))
        }
        if real.cancel(token, on: self) { return }
        guard let index = operations.firstIndex(where: { $0.token == token }) else { return }
        operations[index].isCancelled = true
        if cancelsAtOnce {
            complete(token, result: -Int(Errno.canceled.rawValue))
        } else {
            changed?()
        }
    }

    public func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        real.begin(on: self)
        realDescriptors = real.watchedCount
        let hasEvents = !completions.isEmpty || real.hasCompletions
        for event in try waitForEvents(timeoutNanoseconds: timeoutNanoseconds, hasEvents: hasEvents) {
            // The waker's token is 0, and that of any other descriptor is its number. Standard input is never watched
            // here.
            if event.token != 0 {
                real.becameReady(CInt(event.token), event.readiness, on: self)
            } else if let token = wakerToken.take() {
                events.append(Completion(token: token, result: Int(Readiness.read.rawValue)))
            }
        }
        events += completions
        completions.removeAll()
        events += real.takeCompletions()
    }

    public override func close() {
        for completion in completions + real.takeCompletions() {
            if let buffer = completion.buffer { buffers.put(buffer.memory, buffer.size) }
        }
        completions = []
        real.removeAll()
        real.calls = nil
        // It retains the peers, which retain this object.
        changed = nil
        super.close()
    }
}

extension ScriptedProactor: ReadinessSource {
    var reportsOnce: Bool { false }

    func watch(_ descriptor: CInt, for interest: Interest, insteadOf former: Interest) throws(Errno) {
        let (file, token) = (FileDescriptor(rawValue: descriptor), UInt64(descriptor))
        let system = try openSystem()
        if interest.isEmpty {
            // The descriptor may have been closed without notice.
            try? system.unregister(file)
        } else if former.isEmpty {
            try system.register(file, interest: interest, trigger: .level, token: token)
        } else {
            do {
                try system.modify(file, interest: interest, trigger: .level, token: token)
            } catch {
                try? system.unregister(file)
                try system.register(file, interest: interest, trigger: .level, token: token)
            }
        }
    }
}
