import CAsyncIO
import Foundation

/// Unblocks `signals` for the calling thread: a signal that it sends to itself is then delivered before the call
/// returns.
func unblock(_ signals: CInt...) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
}

/// The disposition of `signal` in the process.
func action(of signal: CInt) -> sigaction {
    var action = sigaction()
    sigaction(signal, nil, &action)
    return action
}

/// The address of the handler of `signal`.
func disposition(of signal: CInt) -> UInt {
    unsafeBitCast(action(of: signal).__sigaction_handler.sa_handler, to: UInt.self)
}

/// Restores the default disposition of the signal `number`. Ignores it first, which discards a pending signal: a thread
/// may be in a handler and have one, which would end the process.
func resetDisposition(of number: CInt) {
    signal(number, SIG_IGN)
    signal(number, SIG_DFL)
}
