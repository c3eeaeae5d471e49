/// Where connections come from: the call that opened one, or the server that accepts them, which all of them share.
final class ConnectionOrigin {
    let site: CallSite
    /// Who counts the connections.
    weak var server: Server?

    init(_ site: CallSite, server: Server? = nil) {
        self.site = site
        self.server = server
    }
}
