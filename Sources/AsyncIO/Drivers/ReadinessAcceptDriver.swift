import AsyncIOSystem
import Selectors
import SystemPackage

/// Accepts clients when the selector reports that the listening socket is readable.
final class ReadinessAcceptDriver: AcceptDriver {
    override func start() throws(Errno) {
        if isStarted { return }
        try loop.watch(socket.descriptor, self, for: .read, .level)
        isStarted = true
    }

    override func stop() {
        guard isStarted else { return }
        isStarted = false
        loop.unwatch(socket.descriptor, self)
        loop.claim(socket.descriptor, for: self)
    }

    override func close() {
        isStarted = false
        loop.unwatch(socket.descriptor, self)
        loop.unregister(self)
        loop.closeSocket(socket)
    }

    override func run() -> UnownedJob? {
        readiness = []
        for _ in 0..<clientsPerIteration {
            guard isStarted, loop.core.pointee.budget.allowsReceive, let delegate else { break }
            do {
                guard let (connection, peer) = try loop.core.accept(socket) else {
                    delegate.acceptedAll()
                    break
                }
                loop.core.pointee.budget.useForAccept()
                if !delegate.accepted(connection, from: peer) { break }
            } catch {
                if !delegate.acceptFailed(error) { break }
            }
        }
        return nil
    }
}
