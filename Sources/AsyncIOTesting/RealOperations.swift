import AsyncIOSystem
import CAsyncIO
import Proactors
import Selectors
import SystemPackage

/// Carries out the operations of a ``ScriptedProactor`` that the test does not control: it makes the system call, and
/// repeats it whenever a selector reports that the descriptor is ready.
final class RealOperations {
    private struct Pending {
        let token: UInt64
        let operation: ProactorOperation
        /// Whether a connection is being established, so that the next event reports the result.
        var isConnecting = false
        /// What the selector watches for this operation.
        var descriptor: CInt
        var interest: Interest

        init(_ operation: ProactorOperation, _ token: UInt64) {
            self.token = token
            self.operation = operation
            (descriptor, interest) = FileCall(operation: operation).awaited
        }
    }

    /// The calls with which a test has replaced the system's.
    var calls: (any SystemCalls)?
    /// The operations that were submitted since the last wait.
    private var submitted: [Pending] = []
    private var pending: [Pending] = []
    private var completions: [Completion] = []
    /// The interest that the selector watches, by descriptor.
    private var watched: [CInt: Interest] = [:]

    private final class SystemsOwn: SystemCalls {}
    private let systemsOwn = SystemsOwn()
    private var current: any SystemCalls { calls ?? systemsOwn }

    var hasCompletions: Bool { !completions.isEmpty }

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

    func submit(_ operation: ProactorOperation, _ token: UInt64, on poller: ScriptedPoller) throws(Errno) {
        submitted.append(Pending(operation, token))
    }

    /// Returns whether it was one of these operations.
    func cancel(_ token: UInt64, on poller: ScriptedPoller) -> Bool {
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
        watch(operation.descriptor, on: poller)
        return true
    }

    /// Begins the operations that were submitted.
    func begin(on poller: ScriptedPoller) {
        let begun = submitted
        submitted = []
        for var operation in begun {
            let kind = operation.operation.kind
            if kind != .poll, attempt(operation, on: poller) { continue }
            operation.isConnecting = kind == .connect
            (operation.descriptor, operation.interest) = FileCall(operation: operation.operation).awaited
            pending.append(operation)
            watch(operation.descriptor, on: poller)
        }
    }

    /// Handles the readiness of a descriptor, which the selector has reported.
    func becameReady(_ descriptor: CInt, _ readiness: Readiness, on poller: ScriptedPoller) {
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
                    attempt(candidate, on: poller)
                }
            if isDone { pending.removeAll { $0.token == candidate.token } } else { watchOther(candidate, on: poller) }
        }
        watch(descriptor, on: poller)
    }

    /// Makes a splice that found one side ready wait for the other.
    private func watchOther(_ candidate: Pending, on poller: ScriptedPoller) {
        guard candidate.operation.kind == .splice,
            let index = pending.firstIndex(where: { $0.token == candidate.token })
        else { return }
        (pending[index].descriptor, pending[index].interest) = FileCall(operation: candidate.operation).awaited
        watch(pending[index].descriptor, on: poller)
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
    private func attempt(_ pending: Pending, on poller: ScriptedPoller) -> Bool {
        let operation = pending.operation
        let socket = Socket(number: operation.descriptor)
        switch operation.kind {
        case .receive: return complete(pending, current.receive(socket, into: operation.memory))
        case .send: return complete(pending, current.send(socket, UnsafeRawBufferPointer(operation.memory)))
        case .accept: return accept(pending, socket)
        case .connect: return connect(pending, socket)
        case .receiveIntoPool: return receiveIntoPool(pending, socket, poller.buffers)
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

    // MARK: The selector

    /// Watches a descriptor for the events that its operations wait for.
    private func watch(_ descriptor: CInt, on poller: ScriptedPoller) {
        let wanted = pending.reduce(into: Interest()) { wanted, pending in
            if pending.descriptor == descriptor { wanted.formUnion(pending.interest) }
        }
        let former = watched[descriptor] ?? []
        if wanted == former { return }
        do {
            try change(descriptor, from: former, to: wanted, on: poller)
            watched[descriptor] = wanted.isEmpty ? nil : wanted
        } catch {
            watched[descriptor] = nil
            let failed = pending.filter { $0.descriptor == descriptor }
            pending.removeAll { $0.descriptor == descriptor }
            for operation in failed { _ = complete(operation, -Int(error.rawValue)) }
        }
        poller.realDescriptors = watched.count
    }

    private func change(
        _ descriptor: CInt, from former: Interest, to wanted: Interest, on poller: ScriptedPoller
    ) throws(Errno) {
        let (file, token) = (FileDescriptor(rawValue: descriptor), UInt64(descriptor))
        let system = try poller.openSystem()
        if wanted.isEmpty {
            // The descriptor may have been closed without notice.
            try? system.unregister(file)
        } else if former.isEmpty {
            try system.register(file, interest: wanted, trigger: .level, token: token)
        } else {
            do {
                try system.modify(file, interest: wanted, trigger: .level, token: token)
            } catch {
                try? system.unregister(file)
                try system.register(file, interest: wanted, trigger: .level, token: token)
            }
        }
    }
}
