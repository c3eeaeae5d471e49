import AsyncIOSystem
import CAsyncIO

/// The system's resolver, getaddrinfo(3).
enum SystemResolver {
    /// The addresses of `host` in the order that the system prefers, each once. Blocks until the system has an answer.
    @Sendable static func addresses(
        of host: String, port: UInt16
    ) -> Result<[SocketAddress], EventLoopError> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        return status == 0 ? .success(addresses(list)) : .failure(error(host, status))
    }

    /// The error of a status of getaddrinfo(3): `.unknownHost` if there is no such host, `.resolverFailed` if no name
    /// server could answer.
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
