import AsyncIOSystem
import SystemPackage

/// A task's request, and the message that brings the answer to its loop. It holds the inbox, not the loop: a closed
/// loop can be freed while a name server is silent.
///
/// SAFETY: `answer` is written once, before the inbox's lock, and read by the task that this message has resumed.
class Lookup<Answer: Sendable>: LoopMessage, @unchecked Sendable {
    private(set) var answer: Result<Answer, any Error> = .failure(EventLoopError.closed)
    private let inbox: ThreadsafeInbox?
    private let token: WaiterToken?

    init(inbox: ThreadsafeInbox?, token: WaiterToken?) {
        self.inbox = inbox
        self.token = token
    }

    /// Once, on any thread. The loop drops the answer if the waiter was cancelled.
    func finish(_ answer: Result<Answer, any Error>) {
        self.answer = answer
        let word = LoopWord(self)
        if inbox?.post(word) != true { _ = word.takeMessage() }
    }

    override final func deliver(on loop: EventLoop) { if let token { loop.settle(token, .ready) } }
}

/// A lookup whose task need not be on a loop.
private final class ContinuedLookup<Answer: Sendable>: Lookup<Answer>, @unchecked Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Answer, any Error>)
        case ended(Result<Answer, any Error>)
    }

    private let state = Locked(State.idle)

    init() { super.init(inbox: nil, token: nil) }

    func wait(_ continuation: CheckedContinuation<Answer, any Error>) {
        let result = state.withLock { state -> Result<Answer, any Error>? in
            if case .ended(let result) = state { return result }
            state = .waiting(continuation)
            return nil
        }
        if let result { continuation.resume(with: result) }
    }

    /// The first call counts.
    override func finish(_ answer: Result<Answer, any Error>) {
        let continuation = state.withLock { state -> CheckedContinuation<Answer, any Error>? in
            if case .ended = state { return nil }
            defer { state = .ended(answer) }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume(with: answer)
    }
}

/// Requests that block a thread each. Equal requests share a thread and an answer, which is not cached.
final class LookupQueue<Request: Hashable & Sendable & CustomStringConvertible, Answer: Sendable>: Sendable {
    /// Blocks its thread until the answer is known.
    typealias Ask = @Sendable (Request) -> Result<Answer, EventLoopError>

    /// How many lookups may wait for a thread. A further one is an error instead of more memory.
    static var maxWaiting: Int { SystemResolver.maxWaiting }

    /// A request and the lookups that wait for its answer.
    ///
    /// SAFETY: `answer` is written and read by the thread that performs the question; `lookups` and `hasBegun` are
    /// guarded by the queue's lock.
    private final class Question: WorkItem, @unchecked Sendable {
        let request: Request
        let queue: LookupQueue
        var lookups: [Lookup<Answer>]
        var hasBegun = false
        private var answer: Result<Answer, any Error> = .failure(EventLoopError.closed)

        init(_ request: Request, _ lookup: Lookup<Answer>, _ queue: LookupQueue) {
            self.request = request
            lookups = [lookup]
            self.queue = queue
        }

        func perform() {
            queue.state.withLock { _ in hasBegun = true }
            answer = queue.ask(request).mapError { $0 }
        }

        func finish() { queue.finish(self, answer) }

        func fail(_ error: Errno) {
            let reason = "cannot resolve \(request): no thread could be started: \(error)"
            queue.finish(self, .failure(EventLoopError(.resolverFailed, reason)))
        }
    }

    private struct State {
        var questions: [Request: Question] = [:]
        /// The number of lookups that share the question of an earlier one.
        var sharing = 0
    }

    private let workers: WorkerThreads
    private let ask: Ask
    private let state = Locked(State())

    init(_ workers: WorkerThreads, ask: @escaping Ask) {
        self.workers = workers
        self.ask = ask
    }

    /// Lookups whose question has not begun. Any thread, for reports.
    var waitingCount: Int {
        state.withLock { $0.questions.values.reduce(0) { $1.hasBegun ? $0 : $0 + $1.lookups.count } }
    }

    /// Begins `lookup`, and finishes it later with its answer, or with `.tooManyLookups`. Any thread.
    func begin(_ request: Request, _ lookup: Lookup<Answer>) {
        let (isAccepted, question) = state.withLock { state -> (Bool, Question?) in
            guard let question = state.questions[request] else {
                let question = Question(request, lookup, self)
                state.questions[request] = question
                return (true, question)
            }
            if !question.lookups.isEmpty {
                if state.sharing >= Self.maxWaiting { return (false, nil) }
                state.sharing += 1
            }
            question.lookups.append(lookup)
            return (true, nil)
        }
        if !isAccepted { lookup.finish(Self.tooManyLookups(request)) }
        if let question, !workers.submit(question) { finish(question, Self.tooManyLookups(request)) }
    }

    /// Withdraws the question of `lookup` if it has not begun and no other lookup shares it. Any thread.
    func abandon(_ request: Request, _ lookup: Lookup<Answer>) {
        state.withLock { state in
            guard let question = state.questions[request],
                let index = question.lookups.firstIndex(where: { $0 === lookup })
            else { return }
            question.lookups.remove(at: index)
            if !question.lookups.isEmpty {
                state.sharing -= 1
            } else if workers.withdraw(question) {
                state.questions[request] = nil
            }
        }
    }

    /// Waits for the answer in a task that need not be on a loop.
    func answer(to request: Request) async throws -> Answer {
        let lookup = ContinuedLookup<Answer>()
        return try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await withCheckedThrowingContinuation {
                lookup.wait($0)
                begin(request, lookup)
            }
        } onCancel: {
            abandon(request, lookup)
            lookup.finish(.failure(CancellationError()))
        }
    }

    private func finish(_ question: Question, _ answer: Result<Answer, any Error>) {
        let lookups = state.withLock { state in
            state.questions[question.request] = nil
            state.sharing -= max(0, question.lookups.count - 1)
            defer { question.lookups = [] }
            return question.lookups
        }
        for lookup in lookups { lookup.finish(answer) }
    }

    private static func tooManyLookups(_ request: Request) -> Result<Answer, any Error> {
        .failure(
            EventLoopError(.tooManyLookups, "cannot resolve \(request): \(maxWaiting) lookups are waiting already"))
    }
}
