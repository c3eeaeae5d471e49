import CAsyncIO
import SystemPackage

/// The signals that the process catches, and for how many loops each. Any thread.
enum SignalRegistry {
    private static let users = Locked<[Signal: Int]>([:])

    /// Calls `body`, which changes dispositions, while no loop changes them.
    static func change<Result>(_ body: () -> Result) -> Result {
        users.withLock { _ in body() }
    }

    /// Empties the registry in a forked child, whose handlers are those of its parent.
    static func claim() {
        users.withLock { users in
            if aio_signals_claim() { users = [:] }
        }
    }

    static func retain(_ signal: Signal) throws(Errno) {
        let result = users.withLock { users -> CInt in
            if users[signal, default: 0] == 0 {
                let result = aio_signal_catch(signal.rawValue)
                if result < 0 { return result }
            }
            users[signal, default: 0] += 1
            return 0
        }
        if result < 0 { throw Errno(rawValue: -result) }
    }

    static func release(_ signal: Signal) {
        users.withLock { users in
            users[signal, default: 1] -= 1
            guard users[signal] == 0 else { return }
            users[signal] = nil
            _ = aio_signal_restore(signal.rawValue)
        }
    }
}
