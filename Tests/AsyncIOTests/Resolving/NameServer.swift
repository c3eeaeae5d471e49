import CAsyncIO
import Foundation
import Testing

@testable import AsyncIO

/// A name server that answers when the test allows it, and a resolver that asks it.
final class NameServer: @unchecked Sendable {
    private struct State {
        var asked: [String] = []
        var answered: Set<String> = []
        var answersAll = false
        var threads: Set<UInt> = []
        var threadStarts = 0
    }

    /// Not a `Mutex`, which the thread sanitizer does not understand.
    private let condition = NSCondition()
    private var state = State()
    private var made: SystemResolver?

    /// - Parameters:
    ///   - resolverLimit: The thread limit of the resolver.
    ///   - threadLimit: The number of threads that can be started.
    init(resolverLimit: Int = 4, threadLimit: Int = .max) {
        made = SystemResolver(
            threadLimit: resolverLimit,
            startThread: { [unowned self] workers in
                let count = with { state in
                    state.threadStarts += 1
                    return state.threadStarts
                }
                if count > threadLimit { return -EAGAIN }
                _ = OtherThread { workers.run() }
                return 0
            },
            ask: { [unowned self] host, port in ask(host, port) })
    }

    /// The resolver. A test ends with ``threadsEnd()``, so that the name server outlives the threads.
    var resolver: SystemResolver { made! }

    static func addresses(_ port: UInt16) -> [SocketAddress] { [SocketAddress(literal: "192.0.2.1", port: port)!] }

    /// The names in the order in which threads have asked for them.
    var asked: [String] { with { $0.asked } }
    /// The threads that have asked.
    var threads: Set<UInt> { with { $0.threads } }

    func answer(_ host: String) {
        with { _ = $0.answered.insert(host) }
    }

    func answerAll() {
        with { $0.answersAll = true }
    }

    func threadsEnd() async {
        while resolver.workers.threadCount > 0 { await Task.yield() }
    }

    private func ask(_ host: String, _ port: UInt16) -> Result<[SocketAddress], EventLoopError> {
        condition.lock()
        defer { condition.unlock() }
        state.asked.append(host)
        state.threads.insert(currentThread())
        while !state.answersAll, !state.answered.contains(host) { condition.wait() }
        return .success(Self.addresses(port))
    }

    private func with<Value>(_ body: (inout State) -> Value) -> Value {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return body(&state)
    }
}

func lookUp(_ host: String, _ names: NameServer, on loop: EventLoop) -> Task<[SocketAddress], any Error> {
    loop.createTask { try await loop.resolve(host: host, port: 7, by: names.resolver) }
}

func expectAnswers(_ tasks: [Task<[SocketAddress], any Error>]) async throws {
    for task in tasks { #expect(try await task.value == NameServer.addresses(7)) }
}

/// Looks `host` up in a task that the loop did not start.
func otherLookUp(_ host: String, _ names: NameServer, on loop: EventLoop) -> Task<[SocketAddress], any Error> {
    Task(executorPreference: loop) { try await loop.resolve(host: host, port: 7, by: names.resolver) }
}
