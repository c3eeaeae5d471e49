public import SystemPackage

/// The interface between the loop and any back end: a wait for events.
///
/// A poller belongs to one loop and is used only on that loop's thread. It does not handle wake-ups: the loop registers
/// its own ``Waker`` like any other descriptor.
public protocol Poller: AnyObject {
    /// An event of a wait: readiness of a descriptor, or completion of an operation.
    associatedtype Event

    /// Waits for events, and appends them to `events`.
    ///
    /// - Parameter timeoutNanoseconds: The longest wait, rounded up where the system supports only milliseconds. With 0
    ///   or less it does not wait, with `nil` it waits without a limit. A signal does not end the wait: it continues
    ///   for the remaining time.
    func wait(timeoutNanoseconds: Int64?, into events: inout [Event]) throws(Errno)

    /// Frees the kernel's resources. Idempotent; each later call of another function fails with `EBADF`.
    func close()
}
