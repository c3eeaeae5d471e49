public import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Asks blocking questions about host names, on threads of its own, which exist only while they have work.
///
/// Not a pool that others use too: sleeping jobs would look like a name server that does not answer.
final class Resolver: Sendable {
    typealias Ask = @Sendable (_ host: String, _ port: UInt16) -> Result<[SocketAddress], EventLoopError>
    typealias StartThread = @Sendable (Resolver) -> CInt

    /// The process's, which asks getaddrinfo(3).
    static let shared = Resolver(ask: LookUp.askSystem)

    /// A name whose servers are silent holds its thread for half a minute, so there is a thread for each lookup up to
    /// this limit. Not without one: a thousand hung lookups must not be a thousand stacks.
    static let defaultThreadLimit = 64
    /// Lookups that may wait for a thread. More are an error, not more memory.
    static let mostWaiting = 1_000
    /// RFC 1035, 2.3.4: longer names cannot be asked for. Never cut: another name would be asked for instead.
    private static let longestNameBytes = 253

    /// Lookups of the same name share a thread and an answer: many clients of one target whose name hangs need one thread.
    private struct Question: Hashable {
        let host: String
        let port: UInt16

        init(_ lookUp: LookUp) {
            (host, port) = (lookUp.host, lookUp.port)
        }
    }

    private struct State {
        var threadLimit: Int
        /// What no thread has begun to ask, in order.
        var waiting: [Question] = []
        /// Who waits for the answer, of those and of what is being asked. Nobody may be left for the latter.
        var askers: [Question: [LookUp]] = [:]
        /// Lookups that joined others of the same name.
        var joined = 0
        /// Threads that were started and have not found the queue empty.
        var threads = 0
        /// Those of them that are asking.
        var asking = 0

        /// Lookups that no thread is about to take; negative when threads outnumber them.
        var unserved: Int { waiting.count - (threads - asking) }

        mutating func takeAskers(of question: Question) -> [LookUp] {
            let taken = askers.removeValue(forKey: question) ?? []
            joined -= max(0, taken.count - 1)
            return taken
        }
    }

    private enum Start {
        case refused, queued, queuedForNewThread
    }

    private let ask: Ask
    private let startThread: StartThread
    private let state: Locked<State>

    /// - Parameters:
    ///   - threadLimit: The most threads at a time, at least one.
    ///   - startThread: Starts a thread that does the resolver's work, or returns `-errno`.
    ///   - ask: Blocks its thread until the answer is known.
    init(
        threadLimit: Int = Resolver.defaultThreadLimit, startThread: @escaping StartThread = Resolver.startSystemThread,
        ask: @escaping Ask
    ) {
        state = Locked(State(threadLimit: threadLimit))
        self.startThread = startThread
        self.ask = ask
    }

    /// The most threads at a time. Any thread. A higher limit serves lookups that wait at once; above a lower one,
    /// threads end as they finish what they ask.
    var threadLimit: Int {
        get { state.withLock { $0.threadLimit } }
        set {
            let missing = state.withLock { state in
                state.threadLimit = newValue
                let missing = max(0, min(state.unserved, newValue - state.threads))
                state.threads += missing
                return missing
            }
            for _ in 0..<missing { addThread() }
        }
    }

    /// Lookups that have not begun. Any thread, for reports.
    var waitingCount: Int {
        state.withLock { state in state.waiting.reduce(0) { $0 + (state.askers[$1]?.count ?? 0) } }
    }
    /// Threads that have not ended. Any thread, for reports.
    var threadCount: Int { state.withLock { $0.threads } }

    /// What needs no resolver: literals, and the wildcards of all interfaces.
    static func literal(host: String?, port: UInt16) -> [SocketAddress]? {
        guard let host, !host.isEmpty else {
            return ["0.0.0.0", "::"].compactMap { SocketAddress(literal: $0, port: port) }
        }
        return SocketAddress(literal: host, port: port).map { [$0] }
    }

    static func check(_ host: String) throws(EventLoopError) {
        if host.utf8.contains(0) {
            throw EventLoopError(.unknownHost, "a host name must not contain a zero byte")
        }
        if host.utf8.count > longestNameBytes {
            throw EventLoopError(
                .unknownHost,
                "a host name of \(host.utf8.count) bytes is longer than the \(longestNameBytes) that DNS allows")
        }
    }

    /// Queues `lookUp`, which is told its answer on one of the resolver's threads. Any thread.
    func begin(_ lookUp: LookUp) throws(EventLoopError) {
        let start = state.withLock { state -> Start in
            let question = Question(lookUp)
            if state.askers[question] != nil {
                if state.joined >= Self.mostWaiting { return .refused }
                state.joined += 1
                state.askers[question]?.append(lookUp)
                return .queued
            }
            let unserved = state.unserved
            if unserved >= Self.mostWaiting { return .refused }
            state.waiting.append(question)
            state.askers[question] = [lookUp]
            guard unserved >= 0, state.threads < state.threadLimit else { return .queued }
            state.threads += 1
            return .queuedForNewThread
        }
        switch start {
        case .queued: break
        case .queuedForNewThread: addThread()
        case .refused:
            throw EventLoopError(
                .tooManyLookups, "cannot resolve '\(lookUp.host)': \(Self.mostWaiting) lookups are waiting already")
        }
    }

    /// Starts a thread that is counted already.
    private func addThread() {
        let result = startThread(self)
        if result < 0 { threadIsMissing(Errno(rawValue: -result)) }
    }

    /// Nobody waits for `lookUp` any more: it is not asked, unless it was already. Any thread.
    func abandon(_ lookUp: LookUp) {
        state.withLock { state in
            let question = Question(lookUp)
            guard var askers = state.askers[question], let index = askers.firstIndex(where: { $0 === lookUp }) else {
                return
            }
            askers.remove(at: index)
            if !askers.isEmpty { state.joined -= 1 }
            state.askers[question] = askers
            if askers.isEmpty, let index = state.waiting.firstIndex(of: question) {
                state.waiting.remove(at: index)
                state.askers[question] = nil
            }
        }
    }

    /// A thread's life.
    func work() {
        while let question = next() {
            let answer = ask(question.host, question.port)
            // First: who gets the answer and asks for the next name finds this thread free.
            let askers = state.withLock { state in
                state.asking -= 1
                return state.takeAskers(of: question)
            }
            for lookUp in askers { lookUp.finish(answer) }
        }
    }

    private func next() -> Question? {
        state.withLock { state in
            guard !state.waiting.isEmpty, state.threads <= state.threadLimit else {
                state.threads -= 1
                return nil
            }
            state.asking += 1
            return state.waiting.removeFirst()
        }
    }

    private static let startSystemThread: StartThread = { resolver in
        let argument = Unmanaged.passRetained(resolver)
        let body: @convention(c) (UnsafeMutableRawPointer) -> Void = { argument in
            Unmanaged<Resolver>.fromOpaque(argument).takeRetainedValue().work()
        }
        let result = aio_thread_start(body, argument.toOpaque(), "asyncio-resolve")
        if result < 0 { argument.release() }
        return result
    }

    /// The other threads take what waits. Without any, nobody would.
    private func threadIsMissing(_ error: Errno) {
        let stranded = state.withLock { state -> [LookUp] in
            state.threads -= 1
            guard state.threads == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting.flatMap { state.takeAskers(of: $0) }
        }
        for lookUp in stranded {
            lookUp.finish(
                .failure(
                    EventLoopError(
                        .resolverFailed, "cannot resolve '\(lookUp.host)': no thread could be started: \(error)")))
        }
    }
}

extension EventLoop {
    /// The addresses of a host, in the order that the system prefers. asyncio: `getaddrinfo`.
    ///
    /// Literals are not looked up. A host of `nil` or `""` means all interfaces. Up to ``resolverThreadLimit`` lookups
    /// of the process are under way at a time, each on a thread of its own; the others wait. Cancelling takes a lookup
    /// back, or abandons it when it is under way. Throws
    /// `.unknownHost` or, when the resolver cannot say, `.resolverFailed`, both with its reason; `.tooManyLookups`,
    /// `.closed`, `CancellationError`.
    public final func resolve(host: String?, port: UInt16) async throws -> [SocketAddress] {
        try await resolve(host: host, port: port, by: .shared)
    }

    /// The most host names that the process looks up at a time, on a thread each; 64 by default.
    ///
    /// The system's resolver, getaddrinfo(3), blocks its thread until it has an answer: half a minute for a name whose
    /// servers are silent. As many such names at a time make every other lookup wait; lookups of the same name share a thread. Threads are started when they are
    /// needed and end when no lookup waits. A new limit holds at once, but for threads that are in use. Traps below 1.
    /// - Thread: any.
    public static var resolverThreadLimit: Int {
        get { Resolver.shared.threadLimit }
        set {
            precondition(newValue > 0, "EventLoop.resolverThreadLimit must be positive, not \(newValue)")
            Resolver.shared.threadLimit = newValue
        }
    }

    /// As `resolve(host:port:)`, by a resolver of one's own.
    final func resolve(host: String?, port: UInt16, by resolver: Resolver) async throws -> [SocketAddress] {
        if let addresses = Resolver.literal(host: host, port: port) { return addresses }
        guard let host else { return [] }
        try Resolver.check(host)
        return try await atHome { record in
            if isClosed { throw EventLoopError.closed }
            // It would have to wait, and a cancelled task does not.
            try Task.checkCancellation()
            let began = now
            let token = makeWaiter()
            let lookUp = LookUp(host: host, port: port, inbox: inbox, token: token)
            do {
                try resolver.begin(lookUp)
            } catch {
                discardWaiter(token)
                throw error
            }
            let outcome = await suspend(token, record)
            if outcome != .ready { resolver.abandon(lookUp) }
            warnOfLookUp(of: host, since: began)
            try check(outcome)
            return try lookUp.answer.get()
        }
    }
}
