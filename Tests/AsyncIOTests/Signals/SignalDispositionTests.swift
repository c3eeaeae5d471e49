import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

#if os(Linux)
/// After a loop has caught a signal, its former disposition is restored: handler, flags and mask, byte for byte.
extension SignalHandlersTests {
    /// The whole disposition of a signal, as sigaction(2) returns it.
    private struct Disposition: Equatable {
        var handler: UInt
        var flags: CInt
        var mask: [UInt8]
        var restorer: UInt

        init(of signal: CInt) {
            let found = action(of: signal)
            handler = unsafeBitCast(found.__sigaction_handler.sa_handler, to: UInt.self)
            flags = found.sa_flags
            // The signal set of the kernel; the C library leaves the other bytes of its larger set undefined.
            mask = withUnsafeBytes(of: found.sa_mask) { Array($0.prefix(8)) }
            restorer = unsafeBitCast(found.sa_restorer, to: UInt.self)
        }
    }

    /// The former disposition of the signals of a test.
    enum Former: CInt, CaseIterable {
        case initial, ignored, handler, handlerWithInformation

        /// Real-time signals that nothing else in this process uses.
        var signals: [Signal] { (0..<6).map { Signal(rawValue: 36 + 6 * rawValue + $0) } }

        func set(for number: CInt) {
            var action = sigaction()
            sigemptyset(&action.sa_mask)
            switch self {
            case .initial: return
            case .ignored: action.__sigaction_handler.sa_handler = SIG_IGN
            case .handler:
                action.__sigaction_handler.sa_handler = { _ in }
                action.sa_flags = SA_NODEFER | SA_NOCLDSTOP
                sigaddset(&action.sa_mask, SIGALRM)
            case .handlerWithInformation:
                action.__sigaction_handler.sa_sigaction = { _, _, _ in }
                action.sa_flags = SA_SIGINFO | SA_ONSTACK
                sigaddset(&action.sa_mask, SIGQUIT)
            }
            sigaction(number, &action, nil)
        }
    }

    // covers: 261
    @Test(arguments: TestLoop.all, Former.allCases)
    func formerDispositionIsRestoredByteForByte(kind: TestLoop, former: Former) async throws {
        let signals = former.signals
        defer { for signal in signals { resetDisposition(of: signal.rawValue) } }
        for signal in signals { former.set(for: signal.rawValue) }
        let before = signals.map { Disposition(of: $0.rawValue) }
        func during() -> Int { zip(signals, before).count { Disposition(of: $0.rawValue) != $1 } }
        try await withLoopThread(kind, patiently) { loop in
            // Restored by removing handlers, one of which has replaced another.
            for signal in signals {
                try loop.addSignalHandler(signal) {}
                try loop.addSignalHandler(signal) {}
            }
            #expect(during() == signals.count)
            for signal in signals { loop.removeSignalHandler(signal) }
            #expect(during() == 0)

            // Restored by the release of a sequence, beside another loop.
            let other = try kind.makeLoop()
            try {
                _ = try loop.signals(Set(signals))
                try other.addSignalHandler(signals[0]) {}
                #expect(during() == signals.count)
            }()
            loop.callSoon { loop.callSoon { loop.stop() } }
            try loop.runForever()
            #expect(during() == 1)
            // Restored by closing a loop.
            try other.close()
            #expect(during() == 0)
            for signal in signals { try loop.addSignalHandler(signal) {} }
            try loop.close()
            #expect(during() == 0)

            // Restored by the release of a loop that was not closed.
            do {
                let dropped = try kind.makeLoop()
                for signal in signals { try dropped.addSignalHandler(signal) {} }
                #expect(during() == signals.count)
            }
            #expect(during() == 0)
        }
    }
}
#endif
