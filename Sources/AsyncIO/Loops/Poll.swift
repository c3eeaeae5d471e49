import AsyncIOSystem
import CAsyncIO
import Proactors
import Selectors
import SystemPackage

/// The watch of one descriptor on a completion loop: a poll operation that is submitted again after the source has run.
/// It checks the level, so the source sees what a level-triggered selector reports, and its submission travels with the
/// next wait. A source only for the completions: it is not registered.
final class Poll: EventSource {
    let source: EventSource
    private let descriptor: FileDescriptor
    private unowned let loop: ProactorEventLoop
    private var interest: Interest
    /// The completion of any other operation is of a former interest.
    private var operation: SlotID?
    private var isArmedLater = false
    private var hasEnded = false

    init(_ descriptor: FileDescriptor, _ source: EventSource, _ interest: Interest, on loop: ProactorEventLoop) {
        self.descriptor = descriptor
        self.source = source
        self.interest = interest
        self.loop = loop
    }

    /// Throws `EBADF` for a number without an open file, and `EPERM` for a file that is always ready.
    static func check(_ descriptor: FileDescriptor) throws(Errno) {
        let result = aio_check_pollable(descriptor.rawValue)
        if result < 0 { throw Errno(rawValue: -result) }
    }

    func arm() throws(Errno) {
        operation = try loop.submit(.poll(descriptor, for: interest), for: self)
    }

    /// If this throws, the former interest stays.
    func change(to interest: Interest) throws(Errno) {
        if !isArmedLater {
            let former = operation
            operation = try loop.submit(.poll(descriptor, for: interest), for: self)
            if let former { loop.cancel(former, .poll) }
        }
        self.interest = interest
    }

    func end() {
        hasEnded = true
        if let operation { loop.cancel(operation, .poll) }
        operation = nil
    }

    /// Queues the watching source, not this one.
    override func completed(_ completion: OperationCompletion) -> Bool {
        guard completion.operation == operation else { return false }
        operation = nil
        if completion.result >= 0 {
            source.readiness.formUnion(Readiness(rawValue: UInt8(truncatingIfNeeded: completion.result)))
            if interest == [.read, .write] { addOtherDirection() }
            isArmedLater = true
            loop.armLater(self)
        } else {
            // Reported once as ready, so that the next call on the descriptor fails with the reason.
            source.readiness.formUnion(Readiness(interest))
        }
        loop.queue(source)
        return false
    }

    /// A poll of io_uring reports what has ended it, and not what became ready afterwards. A selector would report both
    /// directions in one event.
    private func addOtherDirection() {
        if source.readiness.isSuperset(of: [.read, .write]) { return }
        var entry = pollfd(fd: descriptor.rawValue, events: AIO_POLLIN | AIO_POLLOUT, revents: 0)
        guard aio_poll_wait(&entry, 1, 0) == 1 else { return }
        if entry.revents & ~AIO_POLLOUT != 0 { source.readiness.insert(.read) }
        if entry.revents & ~AIO_POLLIN != 0 { source.readiness.insert(.write) }
    }

    /// Returns false if the source has to run first.
    func armAgain() -> Bool {
        if hasEnded { return true }
        if source.isQueued { return false }
        do {
            try arm()
            isArmedLater = false
            return true
        } catch {
            // The next call on the descriptor finds out whether it is ready, and the next wait tries again.
            source.readiness.formUnion(Readiness(interest))
            loop.queue(source)
            return false
        }
    }
}
