import AsyncIOSystem
import Synchronization

// What `print` says, in one form everywhere, after asyncio's `repr`: `<Type what it is, in which state>`. Any thread may print;
// what belongs to the loop's thread is left out elsewhere.

extension EventLoop: CustomStringConvertible {
    /// The class, the back end and the state, such as `<SelectorEventLoop epoll, running, debug>`. Any thread.
    ///
    /// `debug` is said on the loop's thread only.
    public final var description: String {
        var text = "<\(type(of: self)) \(backendName), \(isClosed ? "closed" : isRunning ? "running" : "idle")"
        if isOnLoop, core.pointee.debug.isOn { text += ", debug" }
        return text + ">"
    }
}

extension LoopSerialExecutor: CustomStringConvertible {
    /// Such as `<LoopSerialExecutor of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopSerialExecutor of \(owner)>" }
}

extension EventLoop {
    /// `pending` and the call site, or that it waits no more; nothing off the loop.
    fileprivate final func describeCallback(_ name: SlotName) -> String {
        guard isOnLoop else { return ", on another thread's loop" }
        guard let site = core.pointee.callbacks[name]?.pointee.site else { return ", not pending" }
        return ", pending, scheduled at \(site)"
    }
}

extension Handle: CustomStringConvertible {
    /// Such as `<Handle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String { "<Handle callback\(loop.describeCallback(name))>" }
}

extension TimerHandle: CustomStringConvertible {
    /// Such as `<TimerHandle in 1.500 s, pending, scheduled at App/main.swift:7>`.
    public var description: String {
        "<TimerHandle \(deadline.remaining(on: loop))\(loop.describeCallback(name))>"
    }
}

extension LoopInstant {
    fileprivate func remaining(on loop: EventLoop) -> String {
        let remaining = loop.now.duration(to: self)
        return remaining >= .zero ? "in \(remaining.inSeconds) s" : "due \((.zero - remaining).inSeconds) s ago"
    }
}

extension ThreadsafeHandle: CustomStringConvertible {
    /// Such as `<ThreadsafeHandle callback, pending, scheduled at App/main.swift:7>`.
    public var description: String {
        "<ThreadsafeHandle callback, \(isPending ? "pending" : "not pending"), scheduled at \(callSite)>"
    }
}

extension RepeatingTimer: CustomStringConvertible {
    /// Such as `<RepeatingTimer every 1.000 s, in 0.200 s, scheduled at App/main.swift:7>`.
    public var description: String {
        var text = "<RepeatingTimer every \(interval.inSeconds) s"
        if let loop { text += ", \(deadline.remaining(on: loop))" } else { text += ", cancelled" }
        return text + ", scheduled at \(site)>"
    }
}

extension EventLoopClock: CustomStringConvertible {
    /// Such as `<EventLoopClock 12.345 s>`.
    public final var description: String { "<\(type(of: self)) \(now)>" }
}

extension LoopClock: CustomStringConvertible {
    /// Such as `<LoopClock 12.345 s of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopClock \(now) of \(loop)>" }
}

extension Promise: CustomStringConvertible {
    /// Such as `<Promise<Int> pending>`. Any thread.
    public var description: String {
        "<Promise<\(Value.self)> \(hasOutcome ? "done" : isCancelled ? "cancelled" : "pending")>"
    }
}

extension Runner: CustomStringConvertible {
    /// Such as `<Runner <SelectorEventLoop epoll, idle>>`.
    public var description: String {
        if isClosed { return "<Runner closed>" }
        return existingLoop.map { "<Runner \($0)>" } ?? "<Runner without a loop yet>"
    }
}

extension LoopKind: CustomStringConvertible {
    /// The name on the command line, such as `io_uring`.
    public var description: String { rawValue }
}

extension LoopSupport: CustomStringConvertible {
    /// Such as `epoll (readiness): the best that works here`.
    public var description: String { "\(kind.rawValue) (\(family)): \(reason)" }
}

extension DescriptorReadiness: CustomStringConvertible {
    /// Such as `<DescriptorReadiness fd=7 [read]>`.
    public var description: String { "<DescriptorReadiness fd=\(descriptor.rawValue) \(directions)>" }
}

extension SignalSequence: CustomStringConvertible {
    /// Such as `<SignalSequence SIGHUP, SIGTERM>`.
    public var description: String { "<SignalSequence \(signals.map(\.description).joined(separator: ", "))>" }
}

extension SignalSequence.AsyncIterator: CustomStringConvertible {
    /// Names the signals.
    public var description: String { "<iterator of \(signals.map(\.description).joined(separator: ", "))>" }
}

extension LoopTaskGroup: CustomStringConvertible {
    /// Such as `<LoopTaskGroup of <SelectorEventLoop epoll, running>>`.
    public var description: String { "<LoopTaskGroup of \(loop)\(isCancelled ? ", cancelled" : "")>" }
}

extension WaitCondition: CustomStringConvertible {
    /// The name of the constant, such as `firstCompleted`.
    public var description: String {
        self == .allCompleted ? "allCompleted" : self == .firstCompleted ? "firstCompleted" : "firstError"
    }
}

extension CompletedTasks: CustomStringConvertible {
    /// Such as `<CompletedTasks of 3 tasks>`.
    public var description: String { "<CompletedTasks of \(tasks.count) tasks>" }
}

extension CompletedTasks.AsyncIterator: CustomStringConvertible {
    /// Names the sequence.
    public var description: String { "<iterator of \(sequence)>" }
}
