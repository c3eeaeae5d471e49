import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Looks up host names on threads of its own, which exist only while there are lookups. Those of the same name and port
/// share a thread and an answer, which is not cached.
public final class Resolver: Sendable, CustomStringConvertible {
    /// Blocks its thread until the answer is known.
    typealias Ask = @Sendable (_ host: String, _ port: UInt16) -> Result<[SocketAddress], EventLoopError>

    static let shared = Resolver(ask: SystemResolver.addresses)

    /// A name whose servers are silent blocks its thread for half a minute; a thousand must not need a thousand stacks.
    static let defaultThreadLimit = 64
    /// How many lookups may wait for a thread. A further one is an error instead of more memory.
    static let maxWaiting = 1_000
    /// RFC 1035, 2.3.4. A longer name is rejected, never truncated, which would make it another name.
    private static let maxNameBytes = 253

    /// A name and the lookups that wait for its addresses.
    ///
    /// SAFETY: `answer` is written and read by the thread that performs the question; `lookups` and `hasBegun` are
    /// guarded by the resolver's lock.
    private final class Question: WorkItem, @unchecked Sendable {
        let name: HostName
        let resolver: Resolver
        var lookups: [HostLookup]
        var hasBegun = false
        private var answer: Result<[SocketAddress], EventLoopError> = .failure(.closed)

        init(_ lookup: HostLookup, _ resolver: Resolver) {
            name = lookup.name
            lookups = [lookup]
            self.resolver = resolver
        }

        func perform() {
            resolver.state.withLock { _ in hasBegun = true }
            answer = resolver.ask(name.host, name.port)
        }

        func finish() { resolver.finish(self, answer) }

        func fail(_ error: Errno) {
            let reason = "cannot resolve '\(name.host)': no thread could be started: \(error)"
            resolver.finish(self, .failure(EventLoopError(.resolverFailed, reason)))
        }
    }

    private struct State {
        var questions: [HostName: Question] = [:]
        /// The number of lookups that share the question of an earlier one.
        var sharing = 0
    }

    let workers: WorkerThreads
    private let ask: Ask
    private let state = Locked(State())

    /// - Parameter startThread: Replaces the start of a thread, for tests.
    init(
        threadLimit: Int = Resolver.defaultThreadLimit,
        startThread: @escaping WorkerThreads.StartThread = WorkerThreads.startSystemThread, ask: @escaping Ask
    ) {
        workers = WorkerThreads(
            name: "asyncio-resolve", threadLimit: threadLimit, queueLimit: Self.maxWaiting, startThread: startThread)
        self.ask = ask
    }

    /// The most host names that the process looks up at a time, each on its own thread; 64 by default.
    ///
    /// The system's resolver, getaddrinfo(3), blocks its thread until it has an answer: half a minute for a name whose
    /// servers are silent. With that many such names at a time, further lookups wait. A new limit holds at once; above
    /// a lower one, a thread ends with its lookup. Traps below 1.
    /// - Thread: any.
    public static var threadLimit: Int {
        get { shared.threadLimit }
        set {
            precondition(newValue > 0, "Resolver.threadLimit must be positive, not \(newValue)")
            shared.threadLimit = newValue
        }
    }

    /// Any thread.
    var threadLimit: Int {
        get { workers.threadLimit }
        set { workers.threadLimit = newValue }
    }

    /// Lookups whose question has not begun. Any thread, for reports.
    var waitingCount: Int {
        state.withLock { $0.questions.values.reduce(0) { $1.hasBegun ? $0 : $0 + $1.lookups.count } }
    }

    /// The addresses of a host that needs no lookup: a literal, or `nil` or `""` for all interfaces.
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
        if host.utf8.count > maxNameBytes {
            throw EventLoopError(
                .unknownHost,
                "a host name of \(host.utf8.count) bytes is longer than the \(maxNameBytes) that DNS allows")
        }
    }

    /// Begins `lookup`, and finishes it later with its answer, or with `.tooManyLookups`. Any thread.
    func begin(_ lookup: HostLookup) {
        let (isAccepted, question) = state.withLock { state -> (Bool, Question?) in
            guard let question = state.questions[lookup.name] else {
                let question = Question(lookup, self)
                state.questions[lookup.name] = question
                return (true, question)
            }
            if !question.lookups.isEmpty {
                if state.sharing >= Self.maxWaiting { return (false, nil) }
                state.sharing += 1
            }
            question.lookups.append(lookup)
            return (true, nil)
        }
        if !isAccepted { lookup.finish(Self.tooManyLookups(of: lookup.name)) }
        if let question, !workers.submit(question) { finish(question, Self.tooManyLookups(of: lookup.name)) }
    }

    /// Withdraws the question of `lookup` if it has not begun and no other lookup shares it. Any thread.
    func abandon(_ lookup: HostLookup) {
        state.withLock { state in
            guard let question = state.questions[lookup.name],
                let index = question.lookups.firstIndex(where: { $0 === lookup })
            else { return }
            question.lookups.remove(at: index)
            if !question.lookups.isEmpty {
                state.sharing -= 1
            } else if workers.withdraw(question) {
                state.questions[question.name] = nil
            }
        }
    }

    private func finish(_ question: Question, _ answer: Result<[SocketAddress], EventLoopError>) {
        let lookups = state.withLock { state in
            state.questions[question.name] = nil
            state.sharing -= max(0, question.lookups.count - 1)
            defer { question.lookups = [] }
            return question.lookups
        }
        for lookup in lookups { lookup.finish(answer) }
    }

    private static func tooManyLookups(of name: HostName) -> Result<[SocketAddress], EventLoopError> {
        .failure(
            EventLoopError(.tooManyLookups, "cannot resolve '\(name.host)': \(maxWaiting) lookups are waiting already"))
    }

    /// Such as `<Resolver of up to 64 threads>`.
    public var description: String { "<Resolver of up to \(threadLimit) threads>" }
}

enum SystemResolver {
    /// In the order that the system prefers, each once. Blocks until the system has an answer. getaddrinfo(3).
    @Sendable static func addresses(of host: String, port: UInt16) -> Result<[SocketAddress], EventLoopError> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        return status == 0 ? .success(addresses(list)) : .failure(error(host, status))
    }

    /// `.unknownHost` if there is no such host, `.resolverFailed` if no name server could answer.
    static func error(_ host: String, _ status: CInt) -> EventLoopError {
        let reason = gai_strerror(status).map { String(cString: $0) } ?? "error \(status)"
        let code: EventLoopError.Code =
            switch status {
            case EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_SYSTEM: .resolverFailed
            default: .unknownHost
            }
        return EventLoopError(code, "cannot resolve '\(host)': \(reason)")
    }

    private static func addresses(_ list: UnsafeMutablePointer<addrinfo>?) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let raw = entry.pointee.ai_addr else { continue }
            var storage = sockaddr_storage()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            // SAFETY: the list's entry holds an address of `ai_addrlen` bytes.
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: raw, count: length))
            }
            guard let address = SocketAddress(storage, length: socklen_t(length)) else { continue }
            if !addresses.contains(address) { addresses.append(address) }
        }
        return addresses
    }
}
