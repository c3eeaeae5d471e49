/// An error that the event loop reports. Compare `code`, or catch with a pattern:
///
/// ```swift
/// do { try loop.runForever() } catch let error as EventLoopError where error.code == .closed { ... }
/// ```
public struct EventLoopError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What failed. More codes may be added.
    public struct Code: Sendable, Hashable {
        fileprivate enum Name: String {
            case closed, alreadyRunning, anotherLoopRunning, notRunning, noCurrentLoop,
                stoppedBeforeCompletion, wrongThread, busy, timedOut, descriptorInUse, tooManyDescriptors,
                tasksAlive, unsupported, invalidArgument, calledFromTask, unknownHost, tooManyLookups,
                resolverFailed, invalidState, brokenPromise, connectionClosed, connectionBroken,
                incompleteWrite, sendfileNotAvailable, runnerClosed, interrupted, queueEmpty, queueFull,
                queueShutDown, brokenBarrier
        }

        fileprivate let name: Name

        /// The loop, or an object of it other than a connection, is closed.
        public static var closed: Code { Code(name: .closed) }
        /// The loop is running.
        public static var alreadyRunning: Code { Code(name: .alreadyRunning) }
        /// This thread runs another loop.
        public static var anotherLoopRunning: Code { Code(name: .anotherLoopRunning) }
        /// This thread runs no loop.
        public static var notRunning: Code { Code(name: .notRunning) }
        /// The thread has no current loop, and the policy creates none.
        public static var noCurrentLoop: Code { Code(name: .noCurrentLoop) }
        /// The loop was stopped before its main task, or the future that it ran for, was done.
        public static var stoppedBeforeCompletion: Code { Code(name: .stoppedBeforeCompletion) }
        /// The call has to be made on the loop's thread.
        public static var wrongThread: Code { Code(name: .wrongThread) }
        /// Another task is already using this direction.
        public static var busy: Code { Code(name: .busy) }
        /// A time limit has expired.
        public static var timedOut: Code { Code(name: .timedOut) }
        /// The loop already uses the descriptor: for a connection, for a server, or for itself.
        public static var descriptorInUse: Code { Code(name: .descriptorInUse) }
        /// The number of a descriptor is too high for this loop.
        public static var tooManyDescriptors: Code { Code(name: .tooManyDescriptors) }
        /// The loop still has tasks.
        public static var tasksAlive: Code { Code(name: .tasksAlive) }
        /// This system or back end does not support the operation.
        public static var unsupported: Code { Code(name: .unsupported) }
        /// An argument is not allowed; the description says which one.
        public static var invalidArgument: Code { Code(name: .invalidArgument) }
        /// A blocking function was called in a task.
        public static var calledFromTask: Code { Code(name: .calledFromTask) }
        /// The host does not exist, or has no address.
        public static var unknownHost: Code { Code(name: .unknownHost) }
        /// Too many lookups are waiting for a thread.
        public static var tooManyLookups: Code { Code(name: .tooManyLookups) }
        /// The resolver could not find out whether the host exists. A later attempt may succeed.
        public static var resolverFailed: Code { Code(name: .resolverFailed) }
        /// The current state does not allow the operation; it may have been done. asyncio: `InvalidStateError`.
        public static var invalidState: Code { Code(name: .invalidState) }
        /// The promise was released without a result.
        public static var brokenPromise: Code { Code(name: .brokenPromise) }
        /// This side has closed the connection, or its write side.
        public static var connectionClosed: Code { Code(name: .connectionClosed) }
        /// The other side has ended the connection without an error of the system. With one, it is an ``IOError``.
        public static var connectionBroken: Code { Code(name: .connectionBroken) }
        /// An earlier write sent only a part of its bytes, so nothing more can be written to the connection.
        public static var incompleteWrite: Code { Code(name: .incompleteWrite) }
        /// A file cannot be sent without copying it, and copying was not allowed. Nothing was sent.
        public static var sendfileNotAvailable: Code { Code(name: .sendfileNotAvailable) }
        /// The runner is closed.
        public static var runnerClosed: Code { Code(name: .runnerClosed) }
        /// Ctrl-C ended the main task.
        public static var interrupted: Code { Code(name: .interrupted) }
        /// The queue has no item that could be taken. asyncio: `QueueEmpty`.
        public static var queueEmpty: Code { Code(name: .queueEmpty) }
        /// The queue has no room for another item. asyncio: `QueueFull`.
        public static var queueFull: Code { Code(name: .queueFull) }
        /// The queue was shut down. asyncio: `QueueShutDown`.
        public static var queueShutDown: Code { Code(name: .queueShutDown) }
        /// The barrier was aborted or reset. asyncio: `BrokenBarrierError`.
        public static var brokenBarrier: Code { Code(name: .brokenBarrier) }
    }

    /// A sentence that says what failed.
    public var description: String
    /// The kind of the error, for programs.
    // The last property, because it is not a pointer. An optimising compiler (6.3.1) crashes on a few async functions
    // that convert a typed error to `any Error` when the last word of the error has the type of a pointer: LLVM merges
    // its store into the store of nil in another error slot, which no phi may refer to.
    public var code: Code

    /// Creates an error, for programs that report an error of the loop themselves.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    static let closed = EventLoopError(.closed, "the event loop is closed")
    static let transportClosed = EventLoopError(.connectionClosed, "the connection is closed")

    static func incompleteWrite(bytes: Int, peer: SocketAddress?) -> EventLoopError {
        let peer = peer.flatMap { $0.isUnnamed ? nil : " to \($0)" } ?? ""
        return EventLoopError(
            .incompleteWrite,
            "an earlier write\(peer) ended after \(bytes) of its bytes; closing the connection resets it")
    }

    static let alreadyRunning = EventLoopError(.alreadyRunning, "this event loop is already running")
    static let cannotCloseRunning = EventLoopError(.alreadyRunning, "a running event loop cannot be closed")
    static let anotherLoopRunning = EventLoopError(
        .anotherLoopRunning, "an event loop cannot run while another one is running on the same thread")
    static let notRunning = EventLoopError(
        .notRunning,
        "no event loop is running on this thread; start tasks of a loop with loop.createTask, not with Task { }")
    static let stoppedBeforeCompletion = EventLoopError(
        .stoppedBeforeCompletion, "the event loop was stopped before its main task ended")

    static let runnerClosed = EventLoopError(.runnerClosed, "the runner is closed")
    static let interrupted = EventLoopError(.interrupted, "interrupted by Ctrl-C")
    static let queueEmpty = EventLoopError(.queueEmpty, "the queue is empty")
    static let queueShutDown = EventLoopError(.queueShutDown, "the queue was shut down")
    static let brokenBarrier = EventLoopError(.brokenBarrier, "the barrier was aborted or reset")

    static func queueFull(_ maxSize: Int) -> EventLoopError {
        EventLoopError(.queueFull, "the queue is full: it has \(maxSize) items")
    }

    static func noCurrentLoop(thread: String) -> EventLoopError {
        EventLoopError(.noCurrentLoop, "there is no current event loop in thread '\(thread)'")
    }

    static func wrongThread(_ function: StaticString) -> EventLoopError {
        EventLoopError(
            .wrongThread,
            "\(function) was called outside its loop's thread; call it in a task of the loop or in callSoonThreadsafe")
    }

    /// - Parameter limit: The limit in words, such as `within 0.2 seconds`.
    static func timedOut(_ limit: String, _ function: StaticString, _ site: CallSite) -> EventLoopError {
        EventLoopError(.timedOut, "the operation did not end \(limit) (\(function) at \(site))")
    }

    static func busy(_ operation: String) -> EventLoopError {
        EventLoopError(.busy, "another task is already waiting to \(operation)")
    }

    static func tooManyDescriptors(_ name: String, _ number: CInt, limit: Int, loop: String) -> EventLoopError {
        EventLoopError(
            .tooManyDescriptors,
            "\(name) \(number) is too high for the \(loop) loop, which can only watch descriptors below \(limit)")
    }

    static func tasksAlive(_ count: Int) -> EventLoopError {
        EventLoopError(
            .tasksAlive,
            "the event loop cannot be closed because \(count) of its tasks \(count == 1 ? "has" : "have") not ended")
    }

    static func calledFromTask(_ function: String) -> EventLoopError {
        EventLoopError(
            .calledFromTask,
            "\(function) blocks its thread and was called in a Swift task; call it from synchronous code, "
                + "such as a main() that is not async")
    }

    static func unsupported(feature: String, platform: String) -> EventLoopError {
        EventLoopError(.unsupported, "\(feature) is not supported by \(platform)")
    }
}

extension EventLoopError.Code: CustomStringConvertible {
    /// The name of the constant, such as `timedOut`.
    public var description: String { name.rawValue }
}
