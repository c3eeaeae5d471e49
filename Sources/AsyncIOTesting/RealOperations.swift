import AsyncIOSystem
import CAsyncIO
import Proactors
import Selectors
import SystemPackage

/// Reports to ``RealOperations`` when descriptors are ready.
protocol ReadinessSource: AnyObject {
    /// The pool to receive into.
    var buffers: BufferPool { get }
    /// Whether a report ends the watch of its descriptor.
    var reportsOnce: Bool { get }

    /// Begins to watch a descriptor, for another interest than before, or ends it with an empty interest.
    func watch(_ descriptor: CInt, for interest: Interest, insteadOf former: Interest) throws(Errno)
}

/// Carries out operations by readiness: it makes the system call of an operation, and repeats it whenever a
/// ``ReadinessSource`` reports that the descriptor is ready.
final class RealOperations {
    private struct Pending {
        let token: UInt64
        let operation: ProactorOperation
        /// Whether another proactor has made the call, which would have blocked.
        var wasAttempted: Bool
        /// Whether a connection is being established, so that the next event reports the result.
        var isConnecting = false
        /// What is watched for this operation.
        var descriptor: CInt
        var interest: Interest

        init(_ operation: ProactorOperation, _ token: UInt64, wasAttempted: Bool) {
            self.token = token
            self.wasAttempted = wasAttempted
            self.operation = operation
            (descriptor, interest) = FileCall(operation: operation).awaited
        }
    }

    private static let mostMessages = 16

    /// The calls with which a test has replaced the system's.
    var calls: (any SystemCalls)?
    /// The operations that were submitted since the last wait.
    private var submitted: [Pending] = []
    private var pending: [Pending] = []
    private var completions: [Completion] = []
    /// The interest that is watched, by descriptor.
    private var watched: [CInt: Interest] = [:]

    private final class SystemsOwn: SystemCalls {}
    private let systemsOwn = SystemsOwn()
    private var current: any SystemCalls { calls ?? systemsOwn }

    var hasCompletions: Bool { !completions.isEmpty }

    var watchedCount: Int { watched.count }

    /// Whether an operation of this kind makes a call that a test can replace.
    static func makesReplaceableCall(_ kind: ProactorOperation.Kind) -> Bool {
        switch kind {
        case .accept, .connect, .receive, .receiveIntoPool, .receiveMessages, .send: true
        default: false
        }
    }

    func takeCompletions() -> [Completion] {
        defer { completions.removeAll() }
        return completions
    }

    func removeAll() {
        submitted = []
        pending = []
        completions = []
        watched = [:]
    }

    func submit(_ operation: ProactorOperation, _ token: UInt64, wasAttempted: Bool = false) {
        submitted.append(Pending(operation, token, wasAttempted: wasAttempted))
    }

    /// Returns whether it was one of these operations.
    func cancel(_ token: UInt64, on source: any ReadinessSource) -> Bool {
        let operation: Pending
        if let index = submitted.firstIndex(where: { $0.token == token }) {
            operation = submitted.remove(at: index)
        } else if let index = pending.firstIndex(where: { $0.token == token }) {
            operation = pending.remove(at: index)
        } else {
            return false
        }
        completions.append(Completion(token: token, result: -Int(Errno.canceled.rawValue)))
        // Done at once, because the descriptor may be closed before the next wait.
        watch(operation.descriptor, on: source)
        return true
    }

    /// Begins the operations that were submitted.
    func begin(on source: any ReadinessSource) {
        let begun = submitted
        submitted = []
        for var operation in begun {
            let kind = operation.operation.kind
            if kind != .poll, !operation.wasAttempted, attempt(operation, on: source) { continue }
            operation.isConnecting = kind == .connect
            (operation.descriptor, operation.interest) = FileCall(operation: operation.operation).awaited
            pending.append(operation)
            watch(operation.descriptor, on: source)
        }
    }

    /// Handles the readiness of a descriptor, which the source has reported.
    func becameReady(_ descriptor: CInt, _ readiness: Readiness, on source: any ReadinessSource) {
        if source.reportsOnce { watched[descriptor] = nil }
        let candidates = pending.filter {
            $0.descriptor == descriptor && !$0.interest.isDisjoint(with: Interest(readiness))
        }
        for candidate in candidates {
            let isDone =
                if candidate.operation.kind == .poll {
                    complete(
                        candidate,
                        Int(readiness.intersection(Readiness(candidate.interest).union([.hangup, .urgent])).rawValue))
                } else {
                    attempt(candidate, on: source)
                }
            if isDone { pending.removeAll { $0.token == candidate.token } } else { watchOther(candidate, on: source) }
        }
        watch(descriptor, on: source)
    }

    /// Makes a splice that found one side ready wait for the other.
    private func watchOther(_ candidate: Pending, on source: any ReadinessSource) {
        guard candidate.operation.kind == .splice,
            let index = pending.firstIndex(where: { $0.token == candidate.token })
        else { return }
        (pending[index].descriptor, pending[index].interest) = FileCall(operation: candidate.operation).awaited
        watch(pending[index].descriptor, on: source)
    }

    private func complete(_ pending: Pending, _ result: Int, hasMore: Bool = false) -> Bool {
        completions.append(Completion(token: pending.token, result: result, hasMore: hasMore))
        return !hasMore
    }

    private func complete(_ pending: Pending, _ result: IOResult) -> Bool {
        switch result {
        case .bytes(let count): complete(pending, count)
        case .wouldBlock: false
        case .failed(let error): complete(pending, -Int(error.rawValue))
        }
    }

    /// Makes the system call. Returns whether this was the operation's last completion.
    private func attempt(_ pending: Pending, on source: any ReadinessSource) -> Bool {
        let operation = pending.operation
        let socket = Socket(number: operation.descriptor)
        switch operation.kind {
        case .receive: return complete(pending, current.receive(socket, into: operation.memory))
        case .send: return complete(pending, current.send(socket, UnsafeRawBufferPointer(operation.memory)))
        case .accept: return accept(pending, socket)
        case .connect: return connect(pending, socket)
        case .receiveIntoPool: return receiveIntoPool(pending, socket, source.buffers)
        case .receiveMessages: return receiveMessages(pending, socket, source.buffers)
        default: return complete(pending, FileCall(operation: operation).make())
        }
    }

    private func receiveIntoPool(_ pending: Pending, _ socket: Socket, _ pool: BufferPool) -> Bool {
        let size = pending.operation.bufferSize
        let buffer = PooledBuffer(pool.take(size), size)
        let result = current.receive(socket, into: buffer.bytes)
        if case .bytes(let count) = result, count > 0 {
            completions.append(Completion(token: pending.token, result: count, hasMore: true, buffer: buffer))
            return false
        }
        pool.put(buffer.memory, size)
        return complete(pending, result)
    }

    /// Receives what has arrived, up to a limit, because the descriptor is reported as ready again.
    private func receiveMessages(_ pending: Pending, _ socket: Socket, _ pool: BufferPool) -> Bool {
        for _ in 0..<Self.mostMessages {
            let buffer = PooledBuffer(pool.take(pending.operation.bufferSize), pending.operation.bufferSize)
            let room = PooledMessage.room(in: buffer)
            let (result, sender) = current.receiveFrom(socket, into: room)
            guard case .bytes(let count) = result else {
                pool.put(buffer.memory, buffer.size)
                return complete(pending, result)
            }
            let message = PooledMessage(
                in: buffer, byteCount: min(count, room.count), isTruncated: count > room.count, sender: sender)
            completions.append(
                Completion(token: pending.token, result: message.usedBytes, hasMore: true, buffer: buffer))
        }
        return false
    }

    private func accept(_ pending: Pending, _ socket: Socket) -> Bool {
        do {
            while let (connection, _) = try current.accept(socket) {
                _ = complete(pending, Int(connection.number), hasMore: true)
            }
            return false
        } catch {
            return complete(pending, -Int(error.rawValue))
        }
    }

    private func connect(_ pending: Pending, _ socket: Socket) -> Bool {
        if pending.isConnecting {
            if let error = socket.pendingError() { return complete(pending, -Int(error.rawValue)) }
            let error: Errno = socket.peerAddress == nil ? .alreadyInProcess : Errno(rawValue: 0)
            return complete(pending, -Int(error.rawValue))
        }
        guard let address = pending.operation.address else {
            return complete(pending, -Int(Errno.invalidArgument.rawValue))
        }
        do {
            return try current.connect(socket, to: address) ? complete(pending, 0) : false
        } catch {
            return complete(pending, -Int(error.rawValue))
        }
    }

    /// Watches a descriptor for the events that its operations wait for.
    private func watch(_ descriptor: CInt, on source: any ReadinessSource) {
        let wanted = pending.reduce(into: Interest()) { wanted, pending in
            if pending.descriptor == descriptor { wanted.formUnion(pending.interest) }
        }
        let former = watched[descriptor] ?? []
        if wanted == former { return }
        do {
            try source.watch(descriptor, for: wanted, insteadOf: former)
            watched[descriptor] = wanted.isEmpty ? nil : wanted
        } catch {
            watched[descriptor] = nil
            let failed = pending.filter { $0.descriptor == descriptor }
            pending.removeAll { $0.descriptor == descriptor }
            for operation in failed { _ = complete(operation, -Int(error.rawValue)) }
        }
    }
}
