public import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Looks up names with the functions of the system, getaddrinfo(3) and getnameinfo(3), on threads of its own, which
/// exist only while there are lookups. Equal lookups share a thread and an answer, which is not cached.
public final class SystemResolver: Resolver, CustomStringConvertible {
    typealias Names = (host: String, service: String)
    /// Blocks its thread until the answer is known.
    typealias Ask = @Sendable (_ host: String, _ port: UInt16) -> Result<[SocketAddress], EventLoopError>
    typealias AskName = @Sendable (_ address: SocketAddress, _ flags: NameInfoFlags) -> Result<Names, EventLoopError>

    /// The resolver of all loops that have no other.
    public static let shared = SystemResolver(ask: lookUp)

    /// A name whose servers are silent blocks its thread for half a minute; a thousand must not need a thousand stacks.
    static let defaultThreadLimit = 64
    /// How many lookups of a kind may wait for a thread. A further one is an error instead of more memory.
    static let maxWaiting = 1_000

    let workers: WorkerThreads
    let hosts: LookupQueue<HostName, [SocketAddress]>
    let names: LookupQueue<NamedAddress, Names>

    /// - Parameter startThread: Replaces the start of a thread, for tests.
    init(
        threadLimit: Int = SystemResolver.defaultThreadLimit,
        startThread: @escaping WorkerThreads.StartThread = WorkerThreads.startSystemThread,
        askName: @escaping AskName = SystemResolver.lookUpName, ask: @escaping Ask
    ) {
        workers = WorkerThreads(
            name: "asyncio-resolve", threadLimit: threadLimit, queueLimit: Self.maxWaiting, startThread: startThread)
        hosts = LookupQueue(workers) { ask($0.host, $0.port) }
        names = LookupQueue(workers) { askName($0.address, $0.flags) }
    }

    /// The most lookups that the process makes at a time, each on its own thread; 64 by default.
    ///
    /// The system's resolver blocks its thread until it has an answer: half a minute for a name whose servers are
    /// silent. With that many such names at a time, further lookups wait. A new limit holds at once; above a lower one,
    /// a thread ends with its lookup. Traps below 1.
    /// - Thread: any.
    public static var threadLimit: Int {
        get { shared.threadLimit }
        set {
            precondition(newValue > 0, "SystemResolver.threadLimit must be positive, not \(newValue)")
            shared.threadLimit = newValue
        }
    }

    /// Any thread.
    var threadLimit: Int {
        get { workers.threadLimit }
        set { workers.threadLimit = newValue }
    }

    /// Lookups whose question has not begun. Any thread, for reports.
    var waitingCount: Int { hosts.waitingCount + names.waitingCount }

    /// Returns the addresses of a host in the order that the system prefers, for a resolver of the program; everything
    /// else is as in ``EventLoop/resolve(host:port:)``.
    /// - Thread: any.
    public func addresses(of host: String, port: UInt16) async throws -> [SocketAddress] {
        let name = HostName(host: host, port: port)
        if let addresses = try name.literalAddresses() { return addresses }
        return try await hosts.answer(to: name)
    }

    /// As ``EventLoop/getNameInfo(_:flags:)``, for a resolver of the program.
    /// - Thread: any.
    public func name(
        of address: SocketAddress, flags: NameInfoFlags
    ) async throws -> (host: String, service: String) {
        let named = NamedAddress(address: address, flags: flags)
        if let names = try named.numbers() { return names }
        return try await names.answer(to: named)
    }

    /// Such as `<SystemResolver of up to 64 threads>`.
    public var description: String { "<SystemResolver of up to \(threadLimit) threads>" }
}

extension Resolver {
    public func name(
        of address: SocketAddress, flags: NameInfoFlags
    ) async throws -> (host: String, service: String) {
        try await SystemResolver.shared.name(of: address, flags: flags)
    }
}

/// The calls of the system, which block.
extension SystemResolver {
    /// In the order that the system prefers, each once. getaddrinfo(3).
    @Sendable static func lookUp(_ host: String, _ port: UInt16) -> Result<[SocketAddress], EventLoopError> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        return status == 0 ? .success(addresses(list)) : .failure(error(host, status))
    }

    /// getnameinfo(3).
    @Sendable static func lookUpName(
        _ address: SocketAddress, _ flags: NameInfoFlags
    ) -> Result<Names, EventLoopError> {
        // The longest name of a host that the system returns (NI_MAXHOST), and of a service (NI_MAXSERV).
        var host = [CChar](repeating: 0, count: 1_025)
        var service = [CChar](repeating: 0, count: 32)
        let status = address.withCAddress { storage, length in
            // SAFETY: the address is that of a structure of `length` bytes, and each buffer comes with its size.
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getnameinfo(
                    $0, length, &host, socklen_t(host.count), &service, socklen_t(service.count), flags.cFlags)
            }
        }
        if status == 0 { return .success((Self.text(host), Self.text(service))) }
        return .failure(error("the name of \(address)", status, isQuoted: false))
    }

    private static func text(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `.unknownHost` if there is no such host, `.resolverFailed` if no name server could answer.
    static func error(_ what: String, _ status: CInt, isQuoted: Bool = true) -> EventLoopError {
        let reason = gai_strerror(status).map { String(cString: $0) } ?? "error \(status)"
        let code: EventLoopError.Code =
            switch status {
            case EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_SYSTEM: .resolverFailed
            default: .unknownHost
            }
        return EventLoopError(code, "cannot resolve \(isQuoted ? "'\(what)'" : what): \(reason)")
    }

    private static func addresses(_ list: UnsafeMutablePointer<addrinfo>?) -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        var known: Set<SocketAddress> = []
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
            if known.insert(address).inserted { addresses.append(address) }
        }
        return addresses
    }
}

extension NameInfoFlags {
    fileprivate var cFlags: CInt {
        var flags: CInt = 0
        if contains(.numericHost) { flags |= NI_NUMERICHOST }
        if contains(.numericService) { flags |= NI_NUMERICSERV }
        if contains(.nameRequired) { flags |= NI_NAMEREQD }
        if contains(.datagram) { flags |= NI_DGRAM }
        if contains(.withoutDomain) { flags |= NI_NOFQDN }
        return flags
    }
}
