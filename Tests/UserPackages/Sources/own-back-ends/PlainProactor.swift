import AsyncIO
import Proactors

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A proactor over poll(2): it makes the system call of an operation when the descriptor is ready.
final class PlainProactor: BaseProactor {
    private struct Pending {
        let token: UInt64
        let operation: ProactorOperation
        /// Whether connect(2) was called, so that the next event reports the result.
        var isConnecting = false

        var interest: Interest {
            switch operation.kind {
            case .accept, .receiveIntoPool: .read
            case .connect, .send: .write
            default: operation.interest
            }
        }
    }

    /// How many clients one wait accepts of a listener. The next wait reports the others.
    private static let mostClients = 64

    var buffers = BufferPool()
    /// The operations whose last completion is missing, in the order of their submission.
    private var pending: [Pending] = []
    private var completions: [Completion] = []
    private var isClosed = false

    func submit(_ operation: ProactorOperation, token: UInt64) throws(Errno) {
        if isClosed { throw .badFileDescriptor }
        let known: [ProactorOperation.Kind] = [.accept, .connect, .receiveIntoPool, .send, .poll]
        if !known.contains(operation.kind) { throw .notSupported }
        pending.append(Pending(token: token, operation: operation))
    }

    func cancel(_ kind: ProactorOperation.Kind, token: UInt64) {
        guard let index = pending.firstIndex(where: { $0.token == token }) else { return }
        // Between two waits the kernel holds neither the memory nor the descriptor.
        pending.remove(at: index)
        completions.append(Completion(token: token, result: -Int(Errno.canceled.rawValue)))
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [Completion]) throws(Errno) {
        if isClosed { throw .badFileDescriptor }
        pending = pending.filter { !hasConnected($0) }
        for index in pending.indices where pending[index].operation.kind == .connect {
            pending[index].isConnecting = true
        }
        var entries = pending.map { pollfd($0.operation.descriptor, for: $0.interest) }
        try poll(&entries, timeoutNanoseconds: completions.isEmpty ? timeoutNanoseconds : 0)
        var unfinished: [Pending] = []
        for (operation, entry) in zip(pending, entries) where entry.revents == 0 || !perform(operation, entry) {
            unfinished.append(operation)
        }
        pending = unfinished
        events += completions
        completions.removeAll(keepingCapacity: true)
    }

    func close() {
        isClosed = true
        pending = []
        for completion in completions {
            if let buffer = completion.buffer { buffers.put(buffer.memory, buffer.size) }
        }
        completions = []
    }

    /// Begins to connect, unless that was done. Returns whether the operation has completed.
    private func hasConnected(_ pending: Pending) -> Bool {
        guard pending.operation.kind == .connect, !pending.isConnecting, let address = pending.operation.address else {
            return false
        }
        do {
            guard try Socket(number: pending.operation.descriptor).connect(to: address) else { return false }
            return complete(pending, 0)
        } catch {
            return complete(pending, -Int(error.rawValue))
        }
    }

    /// Performs an operation on a descriptor that is ready. Returns whether the operation has completed.
    private func perform(_ pending: Pending, _ entry: pollfd) -> Bool {
        let operation = pending.operation
        let socket = Socket(number: operation.descriptor)
        switch operation.kind {
        case .accept: return accept(pending, socket)
        case .connect: return complete(pending, -Int(socket.pendingError()?.rawValue ?? 0))
        case .receiveIntoPool: return receive(pending, socket)
        case .send: return complete(pending, socket.send(UnsafeRawBufferPointer(operation.memory)))
        default: return complete(pending, Int(entry.readiness(for: operation.interest).rawValue))
        }
    }

    /// Accepts the clients that wait. Only an error is the last completion.
    private func accept(_ pending: Pending, _ socket: Socket) -> Bool {
        do {
            for _ in 0..<Self.mostClients {
                guard let (client, _) = try socket.accept() else { return false }
                completions.append(Completion(token: pending.token, result: Int(client.number), hasMore: true))
            }
            return false
        } catch {
            return complete(pending, -Int(error.rawValue))
        }
    }

    /// Receives what has arrived, in a buffer of the pool. Only EOF and an error are the last completion.
    private func receive(_ pending: Pending, _ socket: Socket) -> Bool {
        let size = pending.operation.bufferSize
        let buffer = PooledBuffer(buffers.take(size), size)
        let result = socket.receive(into: buffer.bytes)
        if case .bytes(let count) = result, count > 0 {
            completions.append(Completion(token: pending.token, result: count, hasMore: true, buffer: buffer))
            return false
        }
        buffers.put(buffer.memory, size)
        return complete(pending, result)
    }

    private func complete(_ pending: Pending, _ result: IOResult) -> Bool {
        switch result {
        case .bytes(let count): complete(pending, count)
        case .wouldBlock: false
        case .failed(let error): complete(pending, -Int(error.rawValue))
        }
    }

    private func complete(_ pending: Pending, _ result: Int) -> Bool {
        completions.append(Completion(token: pending.token, result: result))
        return true
    }
}
