import AsyncIOSystem
package import SystemPackage

extension EventLoop {
    /// Creates the driver that moves a channel's bytes. It owns the descriptor from then on, even if this throws.
    package final func openStreamDriver(_ channel: ByteChannel) throws(Errno) -> StreamDriver {
        let driver = try makeStreamDriver(channel)
        guard let makeFilter = core.pointee.makeFilter else { return driver }
        let filtered = FilterStreamDriver(over: driver, makeFilter(), on: self)
        filtered.start { _ in }
        return filtered
    }

    /// Puts a filter into every connection from now on. For tests, whose filters are established at once.
    package final func filterConnections(_ makeFilter: @escaping () -> any StreamFilter) {
        core.pointee.makeFilter = makeFilter
    }
}
