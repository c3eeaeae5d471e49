import AsyncIOSystem
public import Selectors
public import SystemPackage

/// Watching descriptors of the program.
extension EventLoop {
    /// Calls `body` in each tick in which `descriptor` is readable. asyncio: `add_reader`.
    ///
    /// A second call replaces the first. Errors and hang-ups count as readable. The descriptor stays yours: remove the
    /// reader before you close it. If you close it first, nobody is called any more, or the reader goes on being called
    /// while a duplicate of the descriptor is open elsewhere (epoll); the loop notices that after at most 1,024 calls,
    /// and when the reader is removed, and reports it as a ``LoopWarning``. Throws `.descriptorInUse` if the loop uses
    /// it for something else, such as a connection, `.busy` while a task waits for it, `.invalidArgument` for a
    /// negative number, `.tooManyDescriptors` if it is too high for the loop (`select`), `.closed`, or an `IOError`
    /// with the selector's reason (`EBADF`; `EPERM` for a regular file on epoll). The loop's thread.
    public final func addReader(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping () throws -> Void
    ) throws {
        try watcher(of: descriptor, "addReader")
            .setCallback(body, CallSite(fileID: fileID, line: line), for: .read)
    }

    /// Calls `body` in each tick in which `descriptor` is writable. asyncio: `add_writer`. As
    /// ``addReader(_:fileID:line:_:)``.
    public final func addWriter(
        _ descriptor: FileDescriptor, fileID: StaticString = #fileID, line: UInt = #line,
        _ body: @escaping () throws -> Void
    ) throws {
        try watcher(of: descriptor, "addWriter")
            .setCallback(body, CallSite(fileID: fileID, line: line), for: .write)
    }

    /// Ends the calls for reading, also one that is queued already. Whether there was a reader. asyncio:
    /// `remove_reader`.
    @discardableResult
    public final func removeReader(_ descriptor: FileDescriptor) -> Bool {
        requireOnLoop("removeReader")
        return (core.pointee.descriptors[descriptor.rawValue] as? DescriptorWatcher)?.removeCallback(.read) ?? false
    }

    /// Ends the calls for writing, also one that is queued already. Whether there was a writer. asyncio:
    /// `remove_writer`.
    @discardableResult
    public final func removeWriter(_ descriptor: FileDescriptor) -> Bool {
        requireOnLoop("removeWriter")
        return (core.pointee.descriptors[descriptor.rawValue] as? DescriptorWatcher)?.removeCallback(.write) ?? false
    }

    /// Suspends the task until the next wait that finds `descriptor` readable, also if it is readable now.
    ///
    /// One task at a time: a second one gets `.busy`, also while there is a reader. Do not close the descriptor
    /// meanwhile, unless by ``SocketOperations/close(_:)``. Throws `CancellationError`, and what
    /// ``addReader(_:fileID:line:_:)`` throws. Any task; off the loop, it hops.
    public final func waitReadable(_ descriptor: FileDescriptor) async throws {
        _ = try await wait(for: .read, descriptor, "waitReadable")
    }

    /// Suspends the task until the next wait that finds `descriptor` writable. As ``waitReadable(_:)``.
    public final func waitWritable(_ descriptor: FileDescriptor) async throws {
        _ = try await wait(for: .write, descriptor, "waitWritable")
    }

    /// The moments in which `descriptor` is ready for one of `directions`: ``waitReadable(_:)``, again and again.
    ///
    /// ```swift
    /// for try await _ in loop.readiness(of: descriptor, for: .read) { drain(descriptor) }
    /// ```
    ///
    /// Each element says for which of the directions it is. It is asked for with `next()`, and only then is the
    /// descriptor watched: nothing is collected, and a consumer that leaves bytes where they are is told of them again
    /// when it asks again. Ends when the task is cancelled, when the loop is closed, and with
    /// ``SocketOperations/close(_:)``. One consumer at a time: another one gets `.busy`. `next()` throws what
    /// ``addReader(_:fileID:line:_:)`` throws. Any task.
    public final func readiness(of descriptor: FileDescriptor, for directions: Interest) -> DescriptorReadiness {
        DescriptorReadiness(loop: self, descriptor: descriptor, directions: directions)
    }

    final nonisolated(nonsending) func wait(
        for directions: Interest, _ descriptor: FileDescriptor, _ function: StaticString
    ) async throws -> Readiness {
        try await atHome(function) { record in
            let watcher = try watcher(of: descriptor, function)
            try watcher.hold(directions)
            defer { watcher.release(directions) }
            return try await watcher.wait(for: directions, record)
        }
    }

    /// The watcher of a descriptor that nobody else owns: the one that is there, or a new one.
    final func watcher(of descriptor: FileDescriptor, _ function: StaticString) throws -> DescriptorWatcher {
        guard isOnLoop else { throw EventLoopError.wrongThread(function) }
        if let watcher = try existingWatcher(of: descriptor, function) { return watcher }
        try checkRoom(for: descriptor)
        return DescriptorWatcher(loop: self, descriptor: descriptor)
    }

    /// Throws what keeps users from watching a descriptor.
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

/// When a descriptor is ready, as a sequence: see ``EventLoop/readiness(of:for:)``.
public struct DescriptorReadiness: AsyncSequence, Sendable {
    public typealias Element = Readiness

    let loop: EventLoop
    let descriptor: FileDescriptor
    let directions: Interest

    public func makeAsyncIterator() -> Iterator { Iterator(readiness: self) }

    public struct Iterator: AsyncIteratorProtocol {
        let readiness: DescriptorReadiness
        private var hasEnded = false

        init(readiness: DescriptorReadiness) {
            self.readiness = readiness
        }

        /// As ``next()``, for `for await`.
        public mutating func next(isolation: isolated (any Actor)?) async throws(any Error) -> Readiness? {
            try await next()
        }

        /// Waits for the next moment; `nil` at the end.
        public mutating func next() async throws -> Readiness? {
            if hasEnded { return nil }
            do {
                if readiness.directions.isEmpty {
                    throw EventLoopError(.invalidArgument, "readiness(of:for:) needs a direction: read, write or both")
                }
                return try await readiness.loop.wait(for: readiness.directions, readiness.descriptor, "readiness")
            } catch is CancellationError {
                hasEnded = true
                return nil
            } catch let error as EventLoopError where error.code == .closed {
                hasEnded = true
                return nil
            } catch {
                hasEnded = true
                throw error
            }
        }
    }
}

extension EventLoopError {
    static func descriptorInUse(_ descriptor: FileDescriptor, _ user: EventSource) -> EventLoopError {
        EventLoopError(.descriptorInUse, "descriptor \(descriptor.rawValue) is used on this loop by \(user.label)")
    }

    static let socketClosed = EventLoopError(.closed, "the socket was closed")
}

extension DescriptorReadiness: CustomStringConvertible {
    /// Such as `<DescriptorReadiness fd=7 [read]>`.
    public var description: String { "<DescriptorReadiness fd=\(descriptor.rawValue) \(directions)>" }
}
