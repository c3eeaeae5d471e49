public import AsyncIOSystem
import CAsyncIO
import Synchronization

/// Asks the system's resolver, getaddrinfo(3), on one thread of its own, which exists only while it has work.
///
/// Not a pool that others use too: sleeping jobs would look like a name server that does not answer.
enum Resolver {
    /// Lookups that may wait. More are an error, not more memory.
    private static let mostWaiting = 1_000
    /// RFC 1035, 2.3.4: longer names cannot be asked for. Never cut: another name would be asked for instead.
    private static let longestNameBytes = 253

    private struct Request: Sendable {
        let host: String?
        let port: UInt16
        let finish: @Sendable (Result<[SocketAddress], EventLoopError>) -> Void
    }

    private struct State {
        var requests: [Request] = []
        var isRunning = false
    }

    private static let state = Mutex(State())

    /// What needs no resolver: literals, and the wildcards of all interfaces.
    static func literal(host: String?, port: UInt16) -> [SocketAddress]? {
        guard let host, !host.isEmpty else {
            return [SocketAddress(literal: "0.0.0.0", port: port), SocketAddress(literal: "::", port: port)].compactMap
            { $0 }
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

    /// Calls `finish` on the resolver's thread.
    static func lookUp(
        host: String, port: UInt16, finish: @escaping @Sendable (Result<[SocketAddress], EventLoopError>) -> Void
    ) throws(EventLoopError) {
        let (accepted, mustStart) = state.withLock { state in
            guard state.requests.count < mostWaiting else { return (false, false) }
            state.requests.append(Request(host: host, port: port, finish: finish))
            defer { state.isRunning = true }
            return (true, !state.isRunning)
        }
        guard accepted else {
            throw EventLoopError(
                .tooManyLookups, "cannot resolve '\(host)': \(mostWaiting) lookups are waiting already")
        }
        guard mustStart else { return }
        let body: @convention(c) (UnsafeMutableRawPointer) -> Void = { _ in Resolver.work() }
        let result = aio_thread_start(body, UnsafeMutableRawPointer(bitPattern: 1)!, "asyncio-resolve")
        if result < 0 { failAll("no thread could be started for the resolver") }
    }

    private static func failAll(_ reason: String) {
        let requests = state.withLock { state in
            defer { state = State() }
            return state.requests
        }
        for request in requests {
            request.finish(.failure(EventLoopError(.unknownHost, "cannot resolve '\(request.host ?? "")': \(reason)")))
        }
    }

    private static func work() {
        while true {
            let request = state.withLock { state -> Request? in
                if state.requests.isEmpty {
                    state.isRunning = false
                    return nil
                }
                return state.requests.removeFirst()
            }
            guard let request else { return }
            request.finish(ask(request))
        }
    }

    private static func ask(_ request: Request) -> Result<[SocketAddress], EventLoopError> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(request.host, "\(request.port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else {
            let reason = gai_strerror(code).map { String(cString: $0) } ?? "error \(code)"
            return .failure(EventLoopError(.unknownHost, "cannot resolve '\(request.host ?? "")': \(reason)"))
        }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let raw = entry.pointee.ai_addr else { continue }
            var storage = sockaddr_storage()
            let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: raw, count: length))
            }
            guard let address = SocketAddress(storage, length: socklen_t(length)) else { continue }
            if !addresses.contains(address) { addresses.append(address) }
        }
        return .success(addresses)
    }
}

extension EventLoop {
    /// The addresses of a host, in the order that the system prefers. asyncio: `getaddrinfo`.
    ///
    /// Literals are not looked up. A host of `nil` or `""` means all interfaces. Cancelling abandons a lookup that is under
    /// way. Throws `.unknownHost` with the resolver's reason, `.tooManyLookups`, `.closed`, `CancellationError`.
    public final func resolve(host: String?, port: UInt16) async throws -> [SocketAddress] {
        if let addresses = Resolver.literal(host: host, port: port) { return addresses }
        guard let host else { return [] }
        try Resolver.check(host)
        return try await atHome { record in
            if isClosed { throw EventLoopError.closed }
            let token = makeWaiter()
            let answer = LookUpAnswer()
            try Resolver.lookUp(host: host, port: port) { [self] result in
                answer.result.withLock { $0 = result }
                // A loop that was closed has settled the waiter by itself.
                _ = try? callSoonThreadsafe { [self] in settle(token, .ready) }
            }
            try check(await suspend(token, record))
            let result = answer.result.withLock { $0 } ?? .failure(.closed)
            return try result.get()
        }
    }
}

/// What the resolver's thread leaves for the task.
private final class LookUpAnswer: Sendable {
    let result = Mutex<Result<[SocketAddress], EventLoopError>?>(nil)
}
