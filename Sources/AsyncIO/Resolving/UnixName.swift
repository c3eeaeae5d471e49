import AsyncIOSystem

/// The name of a unix socket, as the program wrote it: ``address`` says whether it can be one.
struct UnixName: Sendable, CustomStringConvertible {
    enum Kind { case path, abstractName }

    let kind: Kind
    let text: String

    /// `nil` if the name cannot be an address, because it would have to be cut off for example.
    var address: SocketAddress? {
        switch kind {
        case .path: SocketAddress(unixPath: text)
        case .abstractName: SocketAddress(abstractName: text)
        }
    }

    var description: String { "\(kind == .path ? "unix" : "abstract"):\(text)" }

    func check(_ purpose: String) throws(EventLoopError) {
        if address != nil { return }
        let subject = kind == .path ? "path" : "abstract name"
        let count = text.utf8.count
        let limit = SocketAddress.longestUnixPathBytes
        let problem: String
        if count == 0 {
            problem = "is empty"
        } else if text.utf8.contains(0) {
            problem = "contains a zero byte"
        } else if count > limit {
            problem = "has \(count) bytes, and at most \(limit) are possible: \(text)"
        } else {
            throw .unsupported(feature: "the endpoint \(self)", platform: "this system")
        }
        throw EventLoopError(.invalidArgument, "the \(subject) of the unix socket to \(purpose) \(problem)")
    }
}
