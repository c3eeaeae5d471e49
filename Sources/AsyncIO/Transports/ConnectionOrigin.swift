/// The call or the server that opened connections. All connections of a server share one object.
final class ConnectionOrigin {
    let site: CallSite
    /// The server, which counts its connections.
    weak var owner: (any ConnectionOwner)?

    init(_ site: CallSite) {
        self.site = site
    }
}

/// Counts the connections that it has opened.
protocol ConnectionOwner: AnyObject {
    func connectionBegan()
    func connectionEnded()
}
