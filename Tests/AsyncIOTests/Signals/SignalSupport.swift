import CAsyncIO
import Foundation

/// From here on, a signal that this thread sends to itself is delivered before the call returns.
func unblock(_ signals: CInt...) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
}

/// What the process does about it.
func action(of signal: CInt) -> sigaction {
    var action = sigaction()
    sigaction(signal, nil, &action)
    return action
}

/// The address of its handler.
func disposition(of signal: CInt) -> UInt {
    unsafeBitCast(action(of: signal).__sigaction_handler.sa_handler, to: UInt.self)
}

/// Gives `number` its default back. One that is still pending, for a thread that is in a handler, would end the
/// process: to ignore them drops it.
func resetDisposition(of number: CInt) {
    signal(number, SIG_IGN)
    signal(number, SIG_DFL)
}
