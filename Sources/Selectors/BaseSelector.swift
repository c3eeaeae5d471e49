public import AsyncIOSystem
public import SystemPackage

/// How often a selector reports that a descriptor is ready.
public enum Trigger: Sendable, Hashable {
    /// Every wait reports the descriptor for as long as it is ready.
    case level
    /// One wait reports the descriptor each time it becomes ready. The receiver of the event reads or writes until the
    /// call would block.
    case edge
}

/// Waits for descriptors to become ready. Python: `selectors.BaseSelector`.
///
/// The rules for every selector:
/// - A descriptor is identified by its number. Unregister a descriptor before you close it, because selectors differ in
///   what they do with the registration of a number that was closed, or that another file has by now. poll and select
///   report such a descriptor as ready once. kqueue and epoll forget it, but epoll continues to report it while a
///   duplicate is open elsewhere, which ``isStale(_:)`` detects. `unregister` works in all these cases: it ends the
///   events, even if a duplicate is open, and does not affect the other file.
/// - A descriptor is registered at most once. A second registration fails with `EEXIST` and does not change the first.
/// - Errors and hang-ups are reported as readiness in every direction that is watched, so that the next read or write
///   fails with the cause.
/// - Both directions of one descriptor are reported in one event.
/// - After `unregister`, no event of that registration is reported, even if it was pending.
/// - Spurious readiness is allowed; lost readiness is not.
///
/// - Thread: the loop's, for all members.
public protocol BaseSelector: Poller where Event == ReadyEvent {
    /// Whether the selector supports ``Trigger/edge``. If it does not, the loop registers connections level-triggered,
    /// and watches only for what a task or a protocol waits for.
    var supportsEdgeTrigger: Bool { get }

    /// The lowest number that is too high for this selector. `nil`, the default, means that there is no such limit.
    var descriptorLimit: Int? { get }

    /// A handler for descriptors that were closed before they were unregistered, and of which a duplicate may be open.
    ///
    /// A wait calls it after it has replaced the set of registrations because of such a descriptor. Only epoll does. It
    /// cannot know whether there is a duplicate if the number was registered again with the same token.
    /// The handler may call the selector. The default is `nil`, and setting it has no effect.
    var closedDescriptorHandler: ((FileDescriptor) -> Void)? { get set }

    /// Returns whether the system's registration is for a file that no longer has this number, because the descriptor
    /// was closed.
    ///
    /// It makes a system call. The default returns false, as do selectors whose system ends such a registration.
    func isStale(_ descriptor: FileDescriptor) -> Bool

    /// Watches `descriptor` for `interest`. The events of this registration carry `token`.
    ///
    /// Throws `EEXIST` if the descriptor is registered, `EBADF` if it is not open, `EPERM` if it cannot be watched (a
    /// regular file on epoll), `EMFILE` if its number is not below ``descriptorLimit``, and `EINVAL` if `interest` is
    /// empty or `trigger` is not supported.
    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno)

    /// Replaces the interest, the trigger and the token of a registration.
    ///
    /// If the descriptor is ready already in a direction that was added, the next wait reports it, even if it is
    /// edge-triggered. Throws `ENOENT` if the descriptor is not registered, `EINVAL` as `register` does, and the
    /// system's error if the system refuses the change; the registration has ended then.
    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno)

    /// Ends a registration. Throws `ENOENT` if there is none. It is not an error if the descriptor has been closed.
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
