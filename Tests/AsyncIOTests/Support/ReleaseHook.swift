import AsyncIO

/// Calls a function when it is released, as an object of the user may do in its `deinit`.
///
/// SAFETY: closures of a loop capture it, so it is released on the loop's thread, or by the last owner of the loop.
final class ReleaseHook: @unchecked Sendable {
    private let whenReleased: () -> Void

    init(_ whenReleased: @escaping () -> Void) {
        self.whenReleased = whenReleased
    }

    deinit { whenReleased() }

    /// Called by closures so that they capture the object.
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
