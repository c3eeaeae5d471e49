import AsyncIOSystem
import Selectors
import SystemPackage

/// What all raw socket operations have in common: the call is made first; only if it would block is the socket watched.
extension EventLoop {
    /// Calls `attempt` until it is not `nil`, and waits for the socket in between.
    ///
    /// The direction is the task's from its first wait to its end. A cancelled one has made no call since the last that
    /// would have blocked. A task that never has to wait lets others have their turn when it has had its share of a
    /// tick.
    ///
    /// - Parameters:
    ///   - mayBlock: Whether `attempt` would wait on a blocking socket, which is refused then; in debug mode it always
    ///     is.
    ///   - byteCount: What `attempt` has moved, for the share.
    final nonisolated(nonsending) func whenReady<Result>(
        _ socket: Socket, _ direction: Interest, _ function: StaticString, mayBlock: Bool = false,
        byteCount: (Result) -> Int = { _ in 0 }, _ attempt: () throws -> Result?
    ) async throws -> Result {
        var held: DescriptorWatcher?
        var mustWait = false
        if isOnLoop {
            try existingWatcher(of: socket.descriptor, function)?.check(direction)
            if mayBlock || core.pointee.debug.isOn { try requireNonBlocking(socket, function) }
            if core.pointee.descriptors.hasShareLeft(socket.number, in: core.pointee.tick),
                core.pointee.budget.allowsReceive
            {
                if let result = try attempt() {
                    useShare(socket, byteCount(result))
                    return result
                }
                mustWait = true
            }
            // Before a hop, if one is needed: what was sent of a message is followed by its rest.
            held = try hold(socket, direction, function)
        }
        return try await atHome { record in
            let watcher = try held ?? hold(socket, direction, function)
            defer { watcher.release(direction) }
            try watcher.checkNotEnded()
            if held == nil, mayBlock || core.pointee.debug.isOn { try requireNonBlocking(socket, function) }
            if !mustWait, !core.pointee.descriptors.hasShareLeft(socket.number, in: core.pointee.tick) {
                try await watcher.yield()
            }
            while true {
                if mustWait { _ = try await watcher.wait(for: direction, record) }
                mustWait = true
                if !core.pointee.budget.allowsReceive {
                    await waitForBytes()
                    try watcher.checkNotEnded()
                }
                if let result = try attempt() {
                    useShare(socket, byteCount(result))
                    return result
                }
            }
        }
    }

    @inline(__always)
    private final func useShare(_ socket: Socket, _ byteCount: Int) {
        core.pointee.descriptors.useShare(socket.number, byteCount, in: core.pointee.tick)
        core.pointee.budget.use(byteCount)
    }

    private final func hold(
        _ socket: Socket, _ direction: Interest, _ function: StaticString
    ) throws -> DescriptorWatcher {
        let watcher = try watcher(of: socket.descriptor, function)
        try watcher.hold(direction)
        return watcher
    }

    final func requireNonBlocking(_ socket: Socket, _ function: StaticString) throws {
        do {
            if try socket.isNonBlocking() { return }
        } catch {
            throw failure(error, "use", socket)
        }
        throw EventLoopError(.invalidArgument, "\(function): socket \(socket.number) is blocking")
    }

    /// The error of a call on `socket`: names the peer if there is one.
    final func failure(
        _ error: Errno, _ operation: String, _ socket: Socket, _ address: SocketAddress? = nil
    ) -> IOError {
        if let address = address ?? socket.peerAddress, !address.isUnnamed {
            return IOError(error, operation: operation, address: address)
        }
        return IOError(error, operation: "\(operation) socket \(socket.number)")
    }
}

extension SocketAddress {
    /// Whether it says nothing: a unix socket that was not bound.
    var isUnnamed: Bool { family == .unix && host.isEmpty }
}
