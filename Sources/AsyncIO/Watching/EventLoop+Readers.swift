import AsyncIOSystem
public import Selectors
public import SystemPackage

extension EventLoop {
    /// Calls `body` in each iteration in which `descriptor` is readable. asyncio: `add_reader`.
    ///
    /// A second call replaces the callback. Errors and hang-ups count as readable. Remove the reader before you close
    /// the descriptor. If you close it first, `body` is not called any more, except on epoll while a duplicate of the
    /// descriptor is open elsewhere. The loop notices that after at most 1,024 calls, and when the reader is removed,
    /// and reports it as a ``LoopWarning``.
    ///
    /// Throws `.descriptorInUse` if the loop uses the descriptor for something else, such as a connection; `.busy`
    /// while a task waits for it; `.invalidArgument` for a negative number; `.tooManyDescriptors` if the number is too
    /// high for `select`; `.closed`; or an `IOError` (`EBADF`; `EPERM` for a regular file on epoll).
    public final func addReader(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping () throws -> Void
    ) throws {
        try watcher(of: descriptor, "addReader").setCallback(body, CallSite(fileID: fileID, line: line), for: .read)
    }

    /// As ``addReader(_:fileID:line:_:)``, in each iteration in which `descriptor` is writable. asyncio: `add_writer`.
    public final func addWriter(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping () throws -> Void
    ) throws {
        try watcher(of: descriptor, "addWriter").setCallback(body, CallSite(fileID: fileID, line: line), for: .write)
    }

    /// Removes a reader and its queued call, if any. Returns whether there was a reader. asyncio: `remove_reader`.
    @discardableResult public final func removeReader(_ descriptor: FileDescriptor) -> Bool {
        requireOnLoop("removeReader")
        return (core.pointee.descriptors[descriptor.rawValue] as? DescriptorWatcher)?.removeCallback(.read) ?? false
    }

    /// Removes a writer and its queued call, if any. Returns whether there was a writer. asyncio: `remove_writer`.
    @discardableResult public final func removeWriter(_ descriptor: FileDescriptor) -> Bool {
        requireOnLoop("removeWriter")
        return (core.pointee.descriptors[descriptor.rawValue] as? DescriptorWatcher)?.removeCallback(.write) ?? false
    }

    /// Suspends the task until the loop's next poll finds `descriptor` readable, also if it is readable now.
    ///
    /// Only one task may wait: a second one gets `.busy`, also while there is a reader. Do not close the descriptor
    /// meanwhile, except with ``SocketOperations/close(_:)``. Throws `CancellationError`, and what
    /// ``addReader(_:fileID:line:_:)`` throws.
    public final func waitReadable(_ descriptor: FileDescriptor) async throws {
        _ = try await wait(for: .read, descriptor, "waitReadable")
    }

    /// As ``waitReadable(_:)``, until the loop's next poll finds `descriptor` writable.
    public final func waitWritable(_ descriptor: FileDescriptor) async throws {
        _ = try await wait(for: .write, descriptor, "waitWritable")
    }

    /// Returns a sequence of the readiness of `descriptor`, whose `next()` waits as ``waitReadable(_:)`` does.
    ///
    /// ```swift
    /// for try await _ in loop.readiness(of: descriptor, for: .read) { drain(descriptor) }
    /// ```
    ///
    /// The descriptor is watched only during `next()`, so nothing is buffered, and readiness that the consumer has not
    /// used is reported again. The sequence ends when the task is cancelled, when the loop is closed, and with
    /// ``SocketOperations/close(_:)``. `next()` throws what ``addReader(_:fileID:line:_:)`` throws.
    /// - Thread: any.
    public final func readiness(
        of descriptor: FileDescriptor, for directions: Interest
    ) -> sending LoopSequence<Readiness, any Error> {
        LoopSequence(of: DescriptorReadiness(self, descriptor, directions)) {
            try await unsafeDowncast($0, to: DescriptorReadiness.self).next()
        }
    }

    final nonisolated(nonsending) func wait(
        for directions: Interest, _ descriptor: FileDescriptor, _ function: StaticString
    ) async throws -> Readiness {
        try await withAffinity(function) { record in
            let watcher = try watcher(of: descriptor, function)
            try watcher.hold(directions)
            defer { watcher.release(directions) }
            return try await watcher.wait(for: directions, record)
        }
    }

    /// Returns the watcher of a descriptor, an existing or a new one, if nothing else on the loop uses the descriptor.
    final func watcher(of descriptor: FileDescriptor, _ function: StaticString) throws -> DescriptorWatcher {
        guard isOnLoop else { throw EventLoopError.wrongThread(function) }
        if let watcher = try existingWatcher(of: descriptor, function) { return watcher }
        try checkRoom(for: descriptor)
        return DescriptorWatcher(loop: self, descriptor: descriptor)
    }

    /// Throws if the program cannot watch the descriptor.
    @inline(__always)
    final func existingWatcher(of descriptor: FileDescriptor, _ function: StaticString) throws -> DescriptorWatcher? {
        if isClosed { throw EventLoopError.closed }
        guard descriptor.rawValue >= 0 else { throw cannotWatch(descriptor, function) }
        guard let user = core.pointee.descriptors[descriptor.rawValue] else { return nil }
        guard let watcher = user as? DescriptorWatcher else { throw EventLoopError.descriptorInUse(descriptor, user) }
        return watcher
    }

    @inline(never)
    private final func cannotWatch(_ descriptor: FileDescriptor, _ function: StaticString) -> EventLoopError {
        EventLoopError(.invalidArgument, "\(function): \(descriptor.rawValue) is not a valid descriptor")
    }
}

private final class DescriptorReadiness: CustomStringConvertible {
    private let loop: EventLoop
    private let descriptor: FileDescriptor
    private let directions: Interest

    init(_ loop: EventLoop, _ descriptor: FileDescriptor, _ directions: Interest) {
        self.loop = loop
        self.descriptor = descriptor
        self.directions = directions
    }

    func next() async throws -> Readiness? {
        if directions.isEmpty {
            throw EventLoopError(.invalidArgument, "readiness(of:for:) needs a direction: read, write or both")
        }
        do {
            return try await loop.wait(for: directions, descriptor, "readiness")
        } catch is CancellationError {
            return nil
        } catch let error as EventLoopError where error.code == .closed {
            return nil
        }
    }

    var description: String { "fd=\(descriptor.rawValue) \(directions)" }
}

extension EventLoopError {
    static func descriptorInUse(_ descriptor: FileDescriptor, _ user: EventSource) -> EventLoopError {
        EventLoopError(.descriptorInUse, "descriptor \(descriptor.rawValue) is used on this loop by \(user.label)")
    }

    static let socketClosed = EventLoopError(.closed, "the socket was closed")
}
