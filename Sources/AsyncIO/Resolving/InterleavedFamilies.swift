import AsyncIOSystem

extension [SocketAddress] {
    /// Returns the addresses with alternating families, which stay in their order otherwise. RFC 8305, section 4, with
    /// a "First Address Family Count" of 1. asyncio: `interleave`.
    ///
    /// - Parameter first: The family that begins, if it has addresses; by default that of the first address.
    func interleavingFamilies(first: SocketAddress.Family? = nil) -> [SocketAddress] {
        var queues: [(family: SocketAddress.Family, addresses: ArraySlice<SocketAddress>)] = []
        for address in self where !queues.contains(where: { $0.family == address.family }) {
            let queue = (address.family, filter { $0.family == address.family }[...])
            if address.family == first { queues.insert(queue, at: 0) } else { queues.append(queue) }
        }
        if queues.count < 2 { return self }
        var result: [SocketAddress] = []
        while result.count < count {
            for index in queues.indices {
                if let address = queues[index].addresses.popFirst() { result.append(address) }
            }
        }
        return result
    }
}
