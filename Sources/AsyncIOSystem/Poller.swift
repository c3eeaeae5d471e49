public import SystemPackage

/// What the loop's core needs of any back end: a wait for events.
///
/// A poller belongs to one loop and is used on that loop's thread only. It knows nothing of wake-ups: the loop
/// registers its own ``Waker`` like any other descriptor.
public protocol Poller: AnyObject {
    /// What a wait yields: readiness of a descriptor, or completion of an operation.
    associatedtype Event

    /// Waits and appends what happened to `events`.
    ///
    /// - Parameter timeoutNanoseconds: The longest wait, rounded up where the system knows only milliseconds;
    ///   0 or less does not wait, `nil` waits without end. A signal does not end the wait early: it goes on with the
    ///   time that is left.
    func wait(timeoutNanoseconds: Int64?, into events: inout [Event]) throws(Errno)

    /// Frees the kernel's side. Idempotent; every later call fails with `EBADF`.
    func close()
}
