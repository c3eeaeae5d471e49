/// What opened connections: a call, or a server, whose connections share one of these.
final class ConnectionOrigin {
    let site: CallSite
    /// The server, which counts its connections.
    weak var server: Server?

    init(_ site: CallSite) {
        self.site = site
    }
}
