public import AsyncIOSystem
public import SystemPackage

/// How often readiness is told.
@frozen
public enum Trigger: Sendable, Hashable {
    /// At every wait, for as long as the descriptor is ready.
    case level
    /// Once, when the descriptor becomes ready (again). Whoever is told must go on until the call would block.
    case edge
}

/// Waits for descriptors to become ready. Python: `selectors.BaseSelector`.
///
/// The rules that every selector keeps:
/// - Descriptors are known by their numbers. Unregister one before it is closed: what happens to the registration of a number
///   that was closed, or even taken by another file, differs from selector to selector. poll and select report such a
///   descriptor as ready once; kqueue and epoll forget it, but epoll goes on to report it while a duplicate is open
///   elsewhere (``isStale(_:)`` finds that out). `unregister` works in all these cases, leaves the other file alone, and ends
///   the events, also where a duplicate is open.
/// - A descriptor is registered at most once; a second time fails with `EEXIST` and leaves the first as it was.
/// - Errors and hang-ups are told as `read` and `write` both, if both are watched: whoever reads or writes collects the cause.
/// - Both directions of one descriptor come as one event.
/// - After `unregister` no event of that registration is returned.
/// - Spurious readiness is allowed; lost readiness is not.
public protocol BaseSelector: Poller where Event == ReadyEvent {
    /// Whether `Trigger.edge` is known. Where it is not, the loop masks a level-triggered registration itself.
    var supportsEdgeTrigger: Bool { get }

    /// Descriptors with this number or a higher one are refused; `nil` where there is no such limit, as is the default.
    var descriptorLimit: Int? { get }

    /// Called by a wait, on its thread, after a descriptor turned out to have been closed before it was unregistered, while a
    /// duplicate is open: the selector had to register everything else anew. It may call the selector. Only epoll calls it;
    /// by default it is `nil`, and setting it does nothing.
    var closedDescriptorHandler: ((FileDescriptor) -> Void)? { get set }

    /// Whether the system's registration is of another file than the one that has the number now, or of one whose number was
    /// closed. False by default, and where no such registration reports events. It costs a system call.
    func isStale(_ descriptor: FileDescriptor) -> Bool

    /// Watches `descriptor` for `interest`, naming it `token` in the events.
    ///
    /// Throws `EEXIST` if it is registered, `EBADF` if it is not open, `EPERM` if it cannot be watched (a regular
    /// file on epoll), `EMFILE` if its number is not below ``descriptorLimit``, `EINVAL` if `interest` is empty
    /// or `trigger` is not supported.
    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno)

    /// Changes what is watched.
    ///
    /// If the descriptor is ready in a direction that was added, the next wait reports it, edge-triggered too. Throws `ENOENT` if
    /// the descriptor is not registered, `EINVAL` as `register` does. If the system refuses the change, the registration has
    /// ended.
    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno)

    /// Ends the watch. Throws `ENOENT` if there is none; a descriptor that was closed meanwhile is no error.
    func unregister(_ descriptor: FileDescriptor) throws(Errno)
}

extension BaseSelector {
    public var descriptorLimit: Int? { nil }

    public var closedDescriptorHandler: ((FileDescriptor) -> Void)? {
        get { nil }
        set {}
    }

    public func isStale(_ descriptor: FileDescriptor) -> Bool { false }
}
