import AsyncIOSystem

extension [SocketOption: Int] {
    /// Returns the options that a socket of a family has. A unix socket has no TCP options.
    func applicable(to family: SocketAddress.Family?) -> Self {
        family == .unix ? filter { $0.key.level != SocketOption.noDelay.level } : self
    }
}
