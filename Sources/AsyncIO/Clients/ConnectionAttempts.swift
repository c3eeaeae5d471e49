import AsyncIOSystem
import SystemPackage

/// Carries out what a ``ConnectionRace`` decides. Each attempt is a task of the loop.
/// - Thread: the loop's.
final class ConnectionAttempts {
    private let loop: EventLoop
    private let options: ConnectionOptions
    private var race: ConnectionRace
    private var winner: (driver: StreamDriver, peer: SocketAddress)?
    /// A failure that is not that of an address, such as the close of the loop.
    private var failure: (any Error)?
    private var tasks: [Task<Void, Never>] = []
    /// The task that waits for the attempts.
    private var waiter: WaiterToken?

    init(on loop: EventLoop, attemptDelay: Duration, _ options: ConnectionOptions) {
        self.loop = loop
        self.options = options
        race = ConnectionRace(attemptDelay: attemptDelay)
    }

    /// Looks up a host beside the attempts, which begin with the first addresses that are found.
    func lookUp(_ name: HostName, by resolver: (any Resolver)?) {
        // SAFETY: as in `begin`. The closure passes it to the loop's thread.
        let attempts = UncheckedSendable(value: self)
        let loop = loop
        tasks.append(
            Task(executorPreference: loop) {
                do {
                    _ = try await loop.resolve(host: name.host, port: name.port, by: resolver) { addresses in
                        _ = try? loop.callSoonThreadsafe { attempts.value.found(addresses, interleaves: true) }
                    }
                    attempts.value.resolved()
                } catch {
                    attempts.value.resolved(error)
                }
            })
    }

    func found(_ addresses: [SocketAddress], interleaves: Bool) {
        race.found(addresses, interleaves: interleaves, at: loop.now)
        changed()
    }

    /// - Parameter error: Why there are no more addresses.
    func resolved(_ error: (any Error)? = nil) {
        // The addresses that were found may suffice.
        if race.addresses.isEmpty, failure == nil { failure = error }
        race.resolved()
        changed()
    }

    /// Returns the first connection. When this returns or throws, all attempts have ended, and all other sockets are
    /// closed.
    func connect(_ endpoint: Endpoint, _ record: TaskRecord?) async throws -> (StreamDriver, SocketAddress?) {
        await run(record)
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        if failure == nil, Task.isCancelled { failure = CancellationError() }
        if let failure {
            winner?.driver.close()
            throw failure
        }
        guard let winner else { throw ConnectError(endpoint: endpoint, attempts: race.errors) }
        return winner
    }

    private func run(_ record: TaskRecord?) async {
        while failure == nil {
            switch race.next(at: loop.now) {
            case .attempt(let index): begin(index)
            case .wait(let deadline): await wait(until: deadline, record)
            case .end: return
            }
        }
    }

    private func wait(until deadline: LoopInstant?, _ record: TaskRecord?) async {
        let token = loop.makeWaiter()
        waiter = token
        let timer = deadline.map {
            loop.schedule(ScheduledCallback(settling: token, site: CallSite(fileID: #fileID, line: #line)), at: $0)
        }
        let outcome = await loop.suspend(token, record)
        waiter = nil
        if let timer { loop.cancelCallback(timer) }
        do {
            try loop.check(outcome)
        } catch {
            failure = error
        }
    }

    private func begin(_ index: Int) {
        // SAFETY: the task runs on the loop, and has ended when `connect` returns.
        let attempts = UncheckedSendable(value: self)
        tasks.append(Task(executorPreference: loop) { await attempts.value.attempt(index) })
    }

    private func attempt(_ index: Int) async {
        let address = race.addresses[index]
        do {
            let driver = try await loop.connect(to: address, options)
            if race.connected() { winner = (driver, address) } else { driver.close() }
        } catch let error as IOError {
            race.failed(index, error, at: loop.now)
        } catch let error as Errno {
            race.failed(index, .connecting(error, to: address), at: loop.now)
        } catch {
            if failure == nil, winner == nil { failure = error }
        }
        changed()
    }

    private func changed() { if let waiter { loop.settle(waiter, .ready) } }
}
