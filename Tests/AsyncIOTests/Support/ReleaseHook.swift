import AsyncIO

/// Calls a function when it is released: what an object of the user's may do in its `deinit`.
///
/// SAFETY: captured by closures that a loop holds, so it is released on the loop's thread, or by the last one who has
/// the loop.
final class ReleaseHook: @unchecked Sendable {
    private let whenReleased: () -> Void

    init(_ whenReleased: @escaping () -> Void) {
        self.whenReleased = whenReleased
    }

    deinit { whenReleased() }

    /// For the closures that are to hold it.
    func touch() {}
}

/// Uses its connection when it is released.
final class LastWord: StreamProtocol {
    var transport: StreamTransport?
    let whenReleased: (StreamTransport?) -> Void

    init(_ whenReleased: @escaping (StreamTransport?) -> Void) { self.whenReleased = whenReleased }
    deinit { whenReleased(transport) }
    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) {}
    func connectionLost(_ error: (any Error)?) {}
}
