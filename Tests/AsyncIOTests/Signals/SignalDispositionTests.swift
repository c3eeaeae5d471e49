import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

#if os(Linux)
/// What a signal did before somebody caught it is what it does afterwards: handler, flags and mask, byte for byte.
extension SignalHandlersTests {
    /// All that sigaction(2) says of a signal.
    private struct Disposition: Equatable {
        var handler: UInt
        var flags: CInt
        var mask: [UInt8]
        var restorer: UInt

        init(of signal: CInt) {
            let found = action(of: signal)
            handler = unsafeBitCast(found.__sigaction_handler.sa_handler, to: UInt.self)
            flags = found.sa_flags
            // The kernel's set; the C library leaves the rest of its own undefined.
            mask = withUnsafeBytes(of: found.sa_mask) { Array($0.prefix(8)) }
            restorer = unsafeBitCast(found.sa_restorer, to: UInt.self)
        }
    }

    /// What the signals of a test did before.
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
    @Test(arguments: Former.allCases)
    func whatASignalDidBeforeIsRestoredByteForByte(former: Former) async throws {
        let signals = former.signals
        defer { for signal in signals { resetDisposition(of: signal.rawValue) } }
        for signal in signals { former.set(for: signal.rawValue) }
        let before = signals.map { Disposition(of: $0.rawValue) }
        func during() -> Int { zip(signals, before).count { Disposition(of: $0.rawValue) != $1 } }
        try await withLoopThread(.auto, patiently) { loop in
            // By the removal of handlers, of which one takes the place of another.
            for signal in signals {
                try loop.addSignalHandler(signal) {}
                try loop.addSignalHandler(signal) {}
            }
            #expect(during() == signals.count)
            for signal in signals { loop.removeSignalHandler(signal) }
            #expect(during() == 0)

            // By the end of a sequence, beside another loop.
            let other = try LoopKind.auto.makeLoop()
            try {
                _ = try loop.signals(Set(signals))
                try other.addSignalHandler(signals[0]) {}
                #expect(during() == signals.count)
            }()
            loop.callSoon { loop.callSoon { loop.stop() } }
            try loop.runForever()
            #expect(during() == 1)
            // By the close of a loop.
            try other.close()
            #expect(during() == 0)
            for signal in signals { try loop.addSignalHandler(signal) {} }
            try loop.close()
            #expect(during() == 0)

            // By the end of a loop that nobody closed.
            do {
                let dropped = try LoopKind.auto.makeLoop()
                for signal in signals { try dropped.addSignalHandler(signal) {} }
                #expect(during() == signals.count)
            }
            #expect(during() == 0)
        }
    }
}
#endif
