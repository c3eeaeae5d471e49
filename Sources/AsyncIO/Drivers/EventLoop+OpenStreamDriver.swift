import AsyncIOSystem
package import SystemPackage

extension EventLoop {
    /// Creates the driver of a channel. It owns the descriptor from then on, even if this throws.
    package final func openStreamDriver(_ channel: ByteChannel) throws(Errno) -> StreamDriver {
        filterForTests(try makeStreamDriver(channel))
    }

    /// Puts the filter of a test above `driver`, if there is one.
    final func filterForTests(_ driver: StreamDriver) -> StreamDriver {
        guard let makeFilter = core.pointee.makeFilter else { return driver }
        let filtered = FilterStreamDriver(over: driver, makeFilter(), on: self)
        filtered.start { _ in }
        return filtered
    }

    /// Puts a filter above `driver`, which it owns even if it throws, and waits until it is established. On its loop.
    final func establish(
        _ makeFilter: (() throws -> any StreamFilter)?, over driver: StreamDriver
    ) async throws -> StreamDriver {
        guard let makeFilter else { return driver }
        return try await withAffinity { record in
            let filtered = try filter(driver, makeFilter)
            do {
                try await filtered.start(record)
            } catch {
                filtered.close()
                throw error
            }
            return filtered
        }
    }

    /// Puts a filter above `driver`, which is closed if this throws.
    final func filter(
        _ driver: StreamDriver, _ makeFilter: () throws -> any StreamFilter
    ) throws -> FilterStreamDriver {
        do {
            return FilterStreamDriver(over: driver, try makeFilter(), on: self)
        } catch {
            driver.close()
            throw error
        }
    }

    /// For tests, whose filters are established at once.
    package final func filterConnections(_ makeFilter: @escaping () -> any StreamFilter) {
        core.pointee.makeFilter = makeFilter
    }
}
