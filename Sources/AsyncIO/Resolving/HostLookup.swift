import AsyncIOSystem

/// A task's request for the addresses of a host, and the message that brings the answer to its loop.
///
/// It holds the loop's inbox, not the loop: a closed loop can be freed while a name server is silent.
///
/// SAFETY: `answer` is written once, before the inbox's lock, and read by the task that this message has resumed.
final class HostLookup: LoopMessage, @unchecked Sendable {
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

    /// Sends the answer to the loop, which drops it if the waiter was cancelled. Once; any thread.
    func finish(_ answer: Result<[SocketAddress], EventLoopError>) {
        self.answer = answer
        let word = LoopWord(self)
        if !inbox.post(word) { _ = word.takeMessage() }
    }

    override func deliver(on loop: EventLoop) {
        loop.settle(token, .ready)
    }
}
