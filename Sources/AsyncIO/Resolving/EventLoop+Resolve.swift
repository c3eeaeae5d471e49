public import AsyncIOSystem

extension EventLoop {
    /// Returns the addresses of a host, in the order that the system prefers. asyncio: `getaddrinfo`.
    ///
    /// A literal address needs no lookup. A host of `nil` or `""` means all interfaces. A lookup blocks a thread of its
    /// own, see ``Resolver/threadLimit``, never the loop. Cancelling withdraws a lookup that has not begun, and
    /// abandons one that has. Throws `.unknownHost` if there is no such host, `.resolverFailed` if no name server could
    /// answer, both with the reason; `.tooManyLookups` when 1,000 lookups are waiting; `.closed`; `CancellationError`.
    public final func resolve(host: String?, port: UInt16) async throws -> [SocketAddress] {
        try await resolve(host: host, port: port, by: .shared)
    }

    /// As `resolve(host:port:)`, with the resolver of the caller's choice.
    final func resolve(host: String?, port: UInt16, by resolver: Resolver) async throws -> [SocketAddress] {
        if let addresses = Resolver.literal(host: host, port: port) { return addresses }
        guard let host else { return [] }
        try Resolver.check(host)
        return try await withAffinity { record in
            if isClosed { throw EventLoopError.closed }
            // The operation would have to wait, and a cancelled task does not wait.
            try Task.checkCancellation()
            let began = now
            let token = makeWaiter()
            let lookup = HostLookup(host: host, port: port, inbox: inbox, token: token)
            resolver.begin(lookup)
            let outcome = await suspend(token, record)
            if outcome != .ready { resolver.abandon(lookup) }
            warnOfLookup(of: host, since: began)
            try check(outcome)
            return try lookup.answer.get()
        }
    }

    /// Returns the addresses of an endpoint in order, each once. An endpoint of sockets has none here.
    final func addresses(of endpoint: Endpoint, by resolver: Resolver) async throws -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        func add(_ more: [SocketAddress]) {
            for address in more where !addresses.contains(address) { addresses.append(address) }
        }
        switch endpoint.storage {
        case .hosts(let names, let port):
            for name in names { add(try await resolve(host: name, port: port, by: resolver)) }
        case .addresses(let given): add(given)
        case .sockets: break
        }
        return addresses
    }
}

extension Resolver {
    /// The most host names that the process looks up at a time, each on its own thread; 64 by default.
    ///
    /// The system's resolver, getaddrinfo(3), blocks its thread until it has an answer: half a minute for a name whose
    /// servers are silent. With that many such names at a time, further lookups wait. Lookups of the same name share a
    /// thread. Threads are started when they are needed and end when no lookup waits. A new limit holds at once; above
    /// a lower limit, a thread ends with its lookup. Traps below 1.
    /// - Thread: any.
    public static var threadLimit: Int {
        get { shared.threadLimit }
        set {
            precondition(newValue > 0, "Resolver.threadLimit must be positive, not \(newValue)")
            shared.threadLimit = newValue
        }
    }
}

extension Resolver: CustomStringConvertible {
    /// Such as `<Resolver of up to 64 threads>`.
    public var description: String { "<Resolver of up to \(threadLimit) threads>" }
}
