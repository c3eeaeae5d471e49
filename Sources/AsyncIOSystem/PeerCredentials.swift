import CAsyncIO

/// The process at the other end of a unix connection, as it was when the connection was made: SO_PEERCRED in unix(7).
///
/// The identifiers of a client are those of the process that called connect(2), those of a server of the process that
/// called listen(2), and those of `Socket.pair()` of the process that created the pair.
public struct PeerCredentials: Sendable, Hashable {
    /// The process, which may have ended since, so that its number is that of another one; 0 if it is in a namespace
    /// that this process cannot see.
    public var processID: Int32
    /// The effective user.
    public var userID: UInt32
    /// The effective group.
    public var groupID: UInt32

    public init(processID: Int32, userID: UInt32, groupID: UInt32) {
        self.processID = processID
        self.userID = userID
        self.groupID = groupID
    }
}

extension PeerCredentials: CustomStringConvertible {
    /// Such as `process 4711 of user 1000, group 100`.
    public var description: String { "process \(processID) of user \(userID), group \(groupID)" }
}

extension Socket {
    /// The process at the other end of a unix connection; `nil` for any other socket.
    public var peerCredentials: PeerCredentials? {
        var credentials = aio_credentials()
        guard family == .unix, hasPeer, aio_peer_credentials(number, &credentials) == 0 else { return nil }
        return PeerCredentials(
            processID: credentials.process, userID: credentials.user, groupID: credentials.group)
    }
}
