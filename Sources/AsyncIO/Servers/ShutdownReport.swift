/// How the connections of a server that was shut down have ended: see ``Server/shutDown(by:)``.
///
/// Each connection that was open when the shutdown began is counted once, as drained, cancelled or aborted.
public struct ShutdownReport: Sendable, Hashable {
    /// The number of connections that the server has accepted since it was created.
    public var served: Int
    /// The number of connections that ended by themselves before the deadline.
    public var drained: Int
    /// The number of connections whose handlers were running at the deadline and ended when they were cancelled.
    public var cancelled: Int
    /// The number of connections that were aborted: those of protocols, and those whose handlers continued after their
    /// cancellation.
    public var aborted: Int
    /// The time that the shutdown took.
    public var duration: Duration

    public init(served: Int, drained: Int, cancelled: Int, aborted: Int, duration: Duration) {
        self.served = served
        self.drained = drained
        self.cancelled = cancelled
        self.aborted = aborted
        self.duration = duration
    }
}

extension ShutdownReport: CustomStringConvertible {
    /// Such as `7 connections served; of 3 that were open, 1 drained, 1 was cancelled and 1 aborted, in 5.004 s`.
    public var description: String {
        "\(served) \(served == 1 ? "connection" : "connections") served; \(drained) drained, \(cancelled) cancelled and "
            + "\(aborted) aborted in \(duration.inSeconds) s"
    }
}
