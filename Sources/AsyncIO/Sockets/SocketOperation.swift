import AsyncIOSystem
import Selectors
import SystemPackage

/// The common part of the raw socket operations, which watch the socket only if the call would block.
extension EventLoop {
    /// Calls `attempt` until it returns a value, and waits for the socket in between.
    ///
    /// The direction is reserved for the task from its first wait until the function returns. A cancelled operation has
    /// made no call after the last one that would have blocked. A task that never has to wait lets others run when it
    /// has used up its share of an iteration, which `byteCount` measures. A blocking socket is rejected if `mayBlock`
    /// says that `attempt` would wait on it; in debug mode always.
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
            // Reserved before the task may hop, so that nothing comes between the parts of a message.
            held = try hold(socket, direction, function)
        }
        return try await withAffinity { record in
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

    @inline(__always) private final func useShare(_ socket: Socket, _ byteCount: Int) {
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

    /// Returns the number of bytes that a call on `socket` has moved, or `nil` if it would block.
    final func byteCount(
        of result: IOResult, _ operation: String, _ socket: Socket, _ address: SocketAddress? = nil
    ) throws -> Int? {
        switch result {
        case .bytes(let count): count
        case .wouldBlock: nil
        case .failed(let error): throw failure(error, operation, socket, address)
        }
    }

    final func failure(
        _ error: Errno, _ operation: String, _ socket: Socket, _ address: SocketAddress? = nil
    ) -> IOError {
        if let address = address ?? socket.peerAddress, !address.isUnnamed {
            return IOError(error, operation: operation, address: address)
        }
        return IOError(error, operation: "\(operation) socket \(socket.number)")
    }
}

extension IOError {
    /// Calls `body`, and adds what failed to an `Errno` that it throws.
    static func naming<Result>(
        _ operation: @autoclosure () -> String, _ address: SocketAddress? = nil, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let error as Errno {
            throw IOError(error, operation: operation(), address: address)
        }
    }
}

extension SocketAddress {
    /// Whether the address is that of a unix socket that was not bound, which has no path.
    var isUnnamed: Bool { family == .unix && host.isEmpty }
}
