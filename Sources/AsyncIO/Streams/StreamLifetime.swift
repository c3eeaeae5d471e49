/// Ends a connection that its reader and writer were dropped from without `close()`. Any thread may be the last to drop.
final class StreamLifetime {
    let transport: StreamTransport
    private let loop: EventLoop
    private let name: SlotName?

    init(_ transport: StreamTransport) {
        self.transport = transport
        loop = transport.loop
        name = transport.driver.name
    }

    deinit {
        if let name { loop.abandonSource(name) }
    }
}
