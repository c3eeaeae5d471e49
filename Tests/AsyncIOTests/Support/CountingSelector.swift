import AsyncIO
import AsyncIOSystem
import Selectors
import SystemPackage

/// A loop in real time whose waits are counted.
final class CountingLoop: SelectorEventLoop, @unchecked Sendable {
    let counter: CountingSelector

    init() throws {
        counter = CountingSelector(try DefaultSelector.make())
        try super.init(selector: counter)
    }
}

/// Passes everything on and counts the waits.
final class CountingSelector: BaseSelector {
    private let selector: any BaseSelector
    private(set) var waits = 0
    /// What the next wait throws instead of waiting.
    var nextError: Errno?

    init(_ selector: any BaseSelector) {
        self.selector = selector
    }

    var supportsEdgeTrigger: Bool { selector.supportsEdgeTrigger }

    func register(_ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64) throws(Errno) {
        try selector.register(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func modify(_ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64) throws(Errno) {
        try selector.modify(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        try selector.unregister(descriptor)
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        waits += 1
        if let error = nextError.take() { throw error }
        try selector.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
    }

    func close() {
        selector.close()
    }
}
