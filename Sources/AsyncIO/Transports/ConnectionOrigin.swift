/// The call or the server that opened connections, and their numbers. All connections of a server share one object.
package final class ConnectionOrigin {
    let site: CallSite
    private(set) var openedCount = 0
    private(set) var openCount = 0
    /// Called when no connection is open any more.
    var allEnded: (() -> Void)?

    init(_ site: CallSite) {
        self.site = site
    }

    func connectionBegan() {
        openedCount += 1
        openCount += 1
    }

    func connectionEnded() {
        openCount -= 1
        if openCount == 0 { allEnded?() }
    }
}
