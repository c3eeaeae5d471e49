public import AsyncIOSystem
public import SystemPackage

/// The socket of a transport or of a server, for reading and setting its options. asyncio: `TransportSocket`.
///
/// It cannot send or receive, because that would interfere with its owner. After the owner has closed the socket, the
/// calls throw or return `nil`.
///
/// - Thread: the loop's.
public struct TransportSocket: CustomStringConvertible {
    let owner: any SocketOwner

    /// The descriptor; `nil` after the socket was closed. Do not close it. asyncio: `fileno`.
    public var descriptor: FileDescriptor? { owner.openSocket?.descriptor }

    /// The local address, also after the socket was closed. asyncio: `getsockname`.
    public var localAddress: SocketAddress? { owner.localAddress }

    /// The process at the other end of a unix connection. `nil` for any other socket, and after it was closed. asyncio:
    /// `getsockopt(SOL_SOCKET, SO_PEERCRED)`.
    public var peerCredentials: PeerCredentials? { owner.openSocket?.peerCredentials }

    /// Returns the value of an option: getsockopt(2). Throws an `IOError`, or `.closed`. asyncio: `getsockopt`.
    public func option(_ option: SocketOption) throws -> Int {
        try withSocket("get a socket option of") { try $0.option(option) }
    }

    /// Sets an option: setsockopt(2). Throws an `IOError`, or `.closed`. asyncio: `setsockopt`.
    public func setOption(_ option: SocketOption, to value: Int) throws {
        try withSocket("set a socket option of") { try $0.setOption(option, to: value) }
    }

    /// Errors name `address`, or else the socket's own.
    func withSocket<Result>(
        _ operation: String, _ address: SocketAddress? = nil, _ body: (Socket) throws -> Result
    ) throws -> Result {
        guard let socket = owner.openSocket else { throw EventLoopError(.closed, "the socket is closed") }
        return try IOError.naming(operation, address ?? localAddress) { try body(socket) }
    }

    /// Such as `<TransportSocket fd=7 127.0.0.1:80>`.
    public var description: String {
        let address = localAddress?.description ?? "no address"
        guard owner.eventLoop.isOnLoop else { return "<TransportSocket \(address), on another thread's loop>" }
        guard let descriptor else { return "<TransportSocket \(address), closed>" }
        return "<TransportSocket fd=\(descriptor.rawValue) \(address)>"
    }
}

protocol SocketOwner: AnyObject {
    var eventLoop: EventLoop { get }
    /// `nil` after the socket was closed.
    var openSocket: Socket? { get }
    var localAddress: SocketAddress? { get }
}

@available(*, unavailable, message: "a transport's socket belongs to its loop")
extension TransportSocket: Sendable {}
