import AsyncIOSystem
import Proactors
import SystemPackage

/// Accepts clients with one operation that completes for each client, until it is stopped. Clients that were not
/// reported are stored, so that an iteration reports a bounded number, until the next `start()` or the close.
final class CompletionAcceptDriver: AcceptDriver {
    private enum Result {
        case client(Socket)
        case failure(Errno)
    }

    private var operation: SlotID?
    private var isClosed = false
    private var results: [Result] = []

    private var proactor: ProactorEventLoop { unsafeDowncast(loop, to: ProactorEventLoop.self) }

    override func start() throws(Errno) {
        if isStarted { return }
        if operation == nil { operation = try proactor.submit(.accept(on: socket), for: self) }
        isStarted = true
        if !results.isEmpty { loop.queue(self) }
    }

    override func stop() {
        isStarted = false
        if let operation { proactor.cancel(operation, .accept) }
    }

    override func close() {
        isStarted = false
        isClosed = true
        if let operation { proactor.cancel(operation, .accept) }
        let dropped = results
        results = []
        for case .client(let connection) in dropped { connection.close() }
        loop.unwatch(socket.descriptor, self)
        loop.unregister(self)
        loop.closeSocket(socket)
    }

    override func completed(_ completion: OperationCompletion) -> Bool {
        if !completion.hasMore { operation = nil }
        if completion.result >= 0 {
            let connection = Socket(number: CInt(truncatingIfNeeded: completion.result))
            if isClosed {
                connection.close()
                return false
            }
            results.append(.client(connection))
        } else {
            let error = Errno(rawValue: CInt(truncatingIfNeeded: -completion.result))
            // A cancelled operation has nothing to report. One that lost a race is submitted again.
            if error != .canceled, !error.hadNoEffect { results.append(.failure(error)) }
        }
        if results.count >= 2 * clientsPerIteration, let operation { proactor.cancel(operation, .accept) }
        return true
    }

    override func run() -> UnownedJob? {
        for _ in 0..<clientsPerIteration {
            guard isStarted, !results.isEmpty, let delegate, loop.core.pointee.budget.allowsReceive else { break }
            // Removed first, because the delegate may close the driver, which closes the stored clients.
            let mayContinue =
                switch results.removeFirst() {
                case .client(let connection): report(connection, to: delegate)
                case .failure(let error): delegate.acceptFailed(error)
                }
            if !mayContinue { break }
        }
        if isStarted, !isClosed { acceptMore() }
        return nil
    }

    private func report(_ connection: Socket, to delegate: any AcceptDriverDelegate) -> Bool {
        loop.core.pointee.budget.useForAccept()
        return delegate.accepted(connection, from: connection.peerAddress)
    }

    private func acceptMore() {
        if !results.isEmpty { return loop.queue(self) }
        // After a failure, only the next completion shows whether clients wait.
        if operation != nil {
            delegate?.acceptedAll()
            return
        }
        do {
            operation = try proactor.submit(.accept(on: socket), for: self)
        } catch {
            results.append(.failure(error))
            loop.queue(self)
        }
    }
}
