import CAsyncIO
public import SystemPackage

/// An integer socket option: its level and its name, as in setsockopt(2).
public struct SocketOption: Sendable, Hashable {
    public var level: CInt
    public var name: CInt

    public init(level: CInt, name: CInt) {
        self.level = level
        self.name = name
    }

    /// Sends small writes at once (TCP_NODELAY).
    public static let noDelay = SocketOption(level: CInt(IPPROTO_TCP), name: TCP_NODELAY)
    /// Allows to listen on a port with former connections in the state TIME_WAIT (SO_REUSEADDR).
    public static let reuseAddress = SocketOption(level: SOL_SOCKET, name: SO_REUSEADDR)
    /// Allows several sockets to listen on one port and to share its connections (SO_REUSEPORT).
    public static let reusePort = SocketOption(level: SOL_SOCKET, name: SO_REUSEPORT)
    /// Allows to send datagrams to broadcast addresses (SO_BROADCAST).
    public static let broadcast = SocketOption(level: SOL_SOCKET, name: SO_BROADCAST)
    /// Makes an IPv6 socket refuse IPv4 connections (IPV6_V6ONLY).
    public static let ipv6Only = SocketOption(level: CInt(IPPROTO_IPV6), name: IPV6_V6ONLY)
    /// The size of the kernel's send buffer in bytes (SO_SNDBUF).
    public static let sendBufferBytes = SocketOption(level: SOL_SOCKET, name: SO_SNDBUF)
    /// The size of the kernel's receive buffer in bytes (SO_RCVBUF).
    public static let receiveBufferBytes = SocketOption(level: SOL_SOCKET, name: SO_RCVBUF)
}

extension Socket {
    /// Returns the value of an option. getsockopt(2).
    public func option(_ option: SocketOption) throws(Errno) -> Int {
        var value: CInt = 0
        _ = try valueOrErrno(aio_get_option(number, option.level, option.name, &value))
        return Int(value)
    }

    /// Sets the value of an option. setsockopt(2).
    public func setOption(_ option: SocketOption, to value: Int) throws(Errno) {
        _ = try valueOrErrno(aio_set_option(number, option.level, option.name, CInt(clamping: value)))
    }

    /// Returns and clears the pending error of the socket; `nil` if there is none (SO_ERROR). The result of a connect
    /// is reported here.
    public func pendingError() -> Errno? {
        var value: CInt = 0
        let result = aio_get_option(number, SOL_SOCKET, SO_ERROR, &value)
        if result < 0 { return Errno(rawValue: -result) }
        return value == 0 ? nil : Errno(rawValue: value)
    }
}
