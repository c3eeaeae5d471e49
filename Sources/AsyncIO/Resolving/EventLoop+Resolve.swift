public import AsyncIOSystem

extension EventLoop {
    /// Returns the addresses of a host, in the order that the system prefers. asyncio: `getaddrinfo`.
    ///
    /// A literal address needs no lookup. A host of `nil` or `""` means all interfaces. A lookup blocks a thread of its
    /// own, see ``Resolver/threadLimit``. Cancelling withdraws a lookup that has not begun, and abandons one that has.
    /// Throws `.unknownHost` if there is no such host, `.resolverFailed` if no name server could answer, both with the
    /// reason; `.tooManyLookups` when 1,000 lookups are waiting; `.closed`; `CancellationError`.
    public final func resolve(host: String?, port: UInt16) async throws -> [SocketAddress] {
        try await resolve(host: host, port: port, by: .shared)
    }

    final func resolve(host: String?, port: UInt16, by resolver: Resolver) async throws -> [SocketAddress] {
        if let addresses = Resolver.literal(host: host, port: port) { return addresses }
        guard let host else { return [] }
        try Resolver.check(host)
        return try await withAffinity { record in
            if isClosed { throw EventLoopError.closed }
            try Task.checkCancellation()
            let began = now
            let token = makeWaiter()
            let lookup = HostLookup(HostName(host: host, port: port), inbox: inbox, token: token)
            resolver.begin(lookup)
            let outcome = await suspend(token, record)
            if outcome != .ready { resolver.abandon(lookup) }
            warnOfLookup(of: host, since: began)
            try check(outcome)
            return try lookup.answer.get()
        }
    }

    /// Returns the addresses of an endpoint in order, each once; none for sockets.
    ///
    /// - Parameter interleaves: Whether the families of each host's addresses alternate.
    final func addresses(
        of endpoint: Endpoint, by resolver: Resolver, interleaves: Bool = false
    ) async throws -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        func add(_ more: [SocketAddress]) {
            for address in more where !addresses.contains(address) { addresses.append(address) }
        }
        switch endpoint.storage {
        case .hosts(let names, let port):
            for name in names {
                let found = try await resolve(host: name, port: port, by: resolver)
                add(interleaves ? found.interleavingFamilies() : found)
            }
        case .addresses(let given): add(given)
        case .sockets: break
        }
        return addresses
    }
}

struct HostName: Hashable {
    let host: String
    let port: UInt16
}

/// A task's request for the addresses of a host, and the message that brings the answer to its loop. It holds the
/// inbox, not the loop: a closed loop can be freed while a name server is silent.
///
/// SAFETY: `answer` is written once, before the inbox's lock, and read by the task that this message has resumed.
final class HostLookup: LoopMessage, @unchecked Sendable {
    let name: HostName
    private(set) var answer: Result<[SocketAddress], EventLoopError> = .failure(.closed)
    private let inbox: ThreadsafeInbox
    private let token: WaiterToken

    init(_ name: HostName, inbox: ThreadsafeInbox, token: WaiterToken) {
        self.name = name
        self.inbox = inbox
        self.token = token
    }

    /// Once, on any thread. The loop drops the answer if the waiter was cancelled.
    func finish(_ answer: Result<[SocketAddress], EventLoopError>) {
        self.answer = answer
        let word = LoopWord(self)
        if !inbox.post(word) { _ = word.takeMessage() }
    }

    override func deliver(on loop: EventLoop) { loop.settle(token, .ready) }
}
