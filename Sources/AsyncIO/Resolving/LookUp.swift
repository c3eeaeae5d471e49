import AsyncIOSystem
import CAsyncIO

/// A host name on its way to a resolver, and its answer on the way back to the loop.
///
/// It knows the loop's inbox, not the loop: a closed loop can be freed while a name server keeps silent.
///
/// SAFETY: `answer` is written once, before the inbox's lock, and read by the task that this message has woken.
final class LookUp: LoopMessage, @unchecked Sendable {
    let host: String
    let port: UInt16
    private(set) var answer: Result<[SocketAddress], EventLoopError> = .failure(.closed)
    private let inbox: ThreadsafeInbox
    private let token: WaiterToken

    init(host: String, port: UInt16, inbox: ThreadsafeInbox, token: WaiterToken) {
        self.host = host
        self.port = port
        self.inbox = inbox
        self.token = token
    }

    /// On a resolver's thread, once. Nobody hears it when the waiter was cancelled or the loop was closed.
    func finish(_ answer: Result<[SocketAddress], EventLoopError>) {
        self.answer = answer
        let word = LoopWord(self)
        if !inbox.post(word) { _ = word.takeMessage() }
    }

    override func deliver(on loop: EventLoop) {
        loop.settle(token, .ready)
    }
}

/// The system's resolver, getaddrinfo(3).
extension LookUp {
    /// Blocks until the system has an answer.
    @Sendable static func askSystem(
        _ host: String, _ port: UInt16
    ) -> Result<[SocketAddress], EventLoopError> {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        return status == 0 ? .success(addresses(list)) : .failure(error(host, status))
    }

    /// What a status of getaddrinfo(3) means: that there is no such host, or that nobody could say.
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
