import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Selectors
import SystemPackage

/// A loop whose time passes only when it has nothing else to do: a second of sleep takes no time.
final class VirtualLoop: SelectorEventLoop, @unchecked Sendable {
    let virtualSelector: VirtualSelector
    let virtualClock = VirtualClock()

    convenience init() throws {
        try self.init(.auto)
    }

    /// Over the selector of that kind of loop.
    init(_ kind: LoopKind) throws {
        virtualSelector = VirtualSelector(try kind.makeSelector(), virtualClock)
        try super.init(selector: virtualSelector, clock: virtualClock)
    }
}

/// As `withLoop`, in virtual time.
func withVirtualLoop<Value: Sendable>(
    _ kind: LoopKind = .auto, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (VirtualLoop) async throws -> Value
) async throws -> Value {
    try await withLoop(makeLoop: { try VirtualLoop(kind) }, options, body)
}

/// As `withLoopThread`, in virtual time.
func withVirtualLoopThread<Value: Sendable>(
    _ kind: LoopKind, _ options: LoopTestOptions, _ body: sending @escaping (VirtualLoop) throws -> Value
) async throws -> Value {
    try await withLoopThread(makeLoop: { try VirtualLoop(kind) }, options, body)
}

/// Does not sleep until a deadline. Where a selector would, somebody else acts or the clock moves to the end of the wait.
/// One call of it is one tick of the loop.
final class VirtualSelector: BaseSelector {
    private let selector: any BaseSelector
    private let clock: VirtualClock
    private var descriptors: [UInt64: CInt] = [:]
    /// By descriptor: its place in the order of the events. Others come first, the loop's own descriptors that is.
    var rank: [CInt: Int] = [:]
    private(set) var waits = 0
    /// Whether somebody did something.
    var fellAsleep: () -> Bool = { false }
    /// Instead of a wait without end. By default it waits, for other threads.
    var nothingLeft: (() -> Void)?

    init(_ selector: any BaseSelector, _ clock: VirtualClock) {
        (self.selector, self.clock) = (selector, clock)
    }

    var supportsEdgeTrigger: Bool { selector.supportsEdgeTrigger }

    func register(_ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64) throws(Errno) {
        try selector.register(descriptor, interest: interest, trigger: trigger, token: token)
        descriptors[token] = descriptor.rawValue
    }

    func modify(_ descriptor: FileDescriptor, interest: Readiness, trigger: Trigger, token: UInt64) throws(Errno) {
        try selector.modify(descriptor, interest: interest, trigger: trigger, token: token)
        descriptors[token] = descriptor.rawValue
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        try selector.unregister(descriptor)
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        waits += 1
        let deadline = timeoutNanoseconds.map { clock.now.nanoseconds + max(0, $0) }
        while true {
            try selector.wait(timeoutNanoseconds: 0, into: &events)
            if !events.isEmpty {
                // Which of two ready descriptors comes first is up to the kernel; a comparison needs one answer.
                events.sort { place($0) < place($1) }
                return
            }
            if let deadline, clock.now.nanoseconds >= deadline { return }
            if fellAsleep() { continue }
            if let deadline {
                clock.advance(by: .nanoseconds(deadline - clock.now.nanoseconds))
            } else if let nothingLeft {
                return nothingLeft()
            } else {
                try selector.wait(timeoutNanoseconds: nil, into: &events)
            }
        }
    }

    func close() {
        selector.close()
    }

    private func place(_ event: ReadyEvent) -> Int {
        descriptors[event.token].flatMap { rank[$0] } ?? -1
    }
}
