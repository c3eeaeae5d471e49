public import AsyncIOSystem

extension EventLoop {
    /// The resolver that looks up the names of hosts, ``SystemResolver/shared`` by default. Lookups that have begun
    /// continue with the resolver that they began with.
    public final var resolver: any Resolver {
        get {
            requireOnLoop("resolver")
            return core.pointee.resolver ?? SystemResolver.shared
        }
        set {
            requireOnLoop("resolver")
            core.pointee.resolver = newValue
        }
    }

    /// Returns the addresses of a host, in the order that the system prefers. asyncio: `getaddrinfo`.
    ///
    /// A literal address needs no lookup, also with the scope of an IPv6 address, such as `fe80::1%eth0`. A host of
    /// `nil` or `""` means all interfaces. The system's resolver blocks a thread of its own, see
    /// ``SystemResolver/threadLimit``. Cancelling withdraws a lookup that has not begun, and abandons one that has.
    /// Throws `.unknownHost` if there is no such host, `.resolverFailed` if no name server could answer, both with the
    /// reason; `.tooManyLookups` when 1,000 lookups are waiting; what another ``resolver`` throws; `.closed`;
    /// `CancellationError`.
    public final func resolve(host: String?, port: UInt16) async throws -> [SocketAddress] {
        try await resolve(host: host, port: port, by: nil)
    }

    /// Returns the names of the host and the service of an address. asyncio: `getnameinfo`.
    ///
    /// Without a name, they are the numbers, unless `flags` require one. If both are numbers, nothing is looked up.
    /// Throws `.unknownHost` if a required name is missing, `.invalidArgument` for the address of a unix socket, and
    /// otherwise as ``resolve(host:port:)`` does.
    public final func getNameInfo(
        _ address: SocketAddress, flags: NameInfoFlags = []
    ) async throws -> (host: String, service: String) {
        let named = NamedAddress(address: address, flags: flags)
        if let names = try named.numbers() { return names }
        return try await withAffinity { record in
            let resolver = resolver
            return try await lookUp("the name of \(address)", record) { lookup in
                if let system = resolver as? SystemResolver { return system.names.asked(named, lookup) }
                return asked(lookup) { try await resolver.name(of: address, flags: flags) }
            }
        }
    }

    /// - Parameters:
    ///   - chosen: The resolver; `nil` for that of the loop.
    ///   - found: Gets addresses as they are found, possibly on another thread; `nil` if only the result is of use, as
    ///     the system's resolver finds them. With it, the result is empty unless the host is a literal.
    final func resolve(
        host: String?, port: UInt16, by chosen: (any Resolver)?,
        found: (@Sendable ([SocketAddress]) -> Void)? = nil
    ) async throws -> [SocketAddress] {
        let name = HostName(host: host ?? "", port: port)
        if let addresses = try name.literalAddresses() { return addresses }
        return try await withAffinity { record in
            let resolver = chosen ?? resolver
            return try await lookUp(name.description, record) { lookup in
                if let system = resolver as? SystemResolver { return system.hosts.asked(name, lookup) }
                return asked(lookup) {
                    guard let found else { return try await resolver.addresses(of: name.host, port: port) }
                    try await resolver.findAddresses(of: name.host, port: port, found: found)
                    return []
                }
            }
        }
    }

    /// Waits for the answer of a lookup that `begin` begins. It returns what abandons the lookup.
    private final func lookUp<Answer: Sendable>(
        _ name: String, _ record: TaskRecord?, _ begin: (Lookup<Answer>) -> () -> Void
    ) async throws -> Answer {
        if isClosed { throw EventLoopError.closed }
        try Task.checkCancellation()
        let began = now
        let token = makeWaiter()
        let lookup = Lookup<Answer>(inbox: inbox, token: token)
        let abandon = begin(lookup)
        let outcome = await suspend(token, record)
        if outcome != .ready { abandon() }
        warnOfLookup(of: name, since: began)
        try check(outcome)
        return try lookup.answer.get()
    }

    /// Asks a resolver of the program, in a task that nobody waits for.
    private final func asked<Answer: Sendable>(
        _ lookup: Lookup<Answer>, _ ask: @escaping @Sendable () async throws -> Answer
    ) -> () -> Void {
        let task = Task(executorPreference: self) {
            do {
                lookup.finish(.success(try await ask()))
            } catch {
                lookup.finish(.failure(error))
            }
        }
        return { task.cancel() }
    }

    /// Returns the addresses of an endpoint in order, each once; none for sockets.
    ///
    /// - Parameter interleaves: Whether the families of each host's addresses alternate.
    final func addresses(
        of endpoint: Endpoint, by resolver: (any Resolver)?, interleaves: Bool = false
    ) async throws -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        var known: Set<SocketAddress> = []
        func add(_ more: [SocketAddress]) {
            for address in more where known.insert(address).inserted { addresses.append(address) }
        }
        switch endpoint.storage {
        case .hosts(let names, let port):
            for name in names {
                let found = try await resolve(host: name, port: port, by: resolver)
                add(interleaves ? found.interleavingFamilies() : found)
            }
        case .addresses(let given): add(given)
        case .unix(let name): add([name.address].compactMap(\.self))
        case .sockets, .standardStreams: break
        }
        return addresses
    }
}

extension LookupQueue {
    /// Begins a lookup, and returns what abandons it.
    fileprivate func asked(_ request: Request, _ lookup: Lookup<Answer>) -> () -> Void {
        begin(request, lookup)
        return { self.abandon(request, lookup) }
    }
}
