/// What opened connections: a call, or a server, whose connections share one of these.
final class ConnectionOrigin {
    let site: CallSite
    /// What counts the connections: the server.
    weak var owner: (any ConnectionOwner)?

    init(_ site: CallSite) {
        self.site = site
    }
}

/// Counts connections that it has opened.
protocol ConnectionOwner: AnyObject {
    func connectionBegan()
    func connectionEnded()
}
