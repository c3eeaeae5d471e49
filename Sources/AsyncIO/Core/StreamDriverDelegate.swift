package import SystemPackage

/// What a stream driver reports to: a transport, or a filter that stands between the driver and a transport.
///
/// - Thread: the loop's.
package protocol StreamDriverDelegate: AnyObject {
    /// Pull style: a receive may go on. Returns the job of the task that waits for that.
    func becameReadable() -> UnownedJob?

    /// A send may go on. Returns the job of the task that waits for that if `returningJob`, and queues it otherwise.
    func becameWritable(returningJob: Bool) -> UnownedJob?

    /// Push style: bytes were received. Returns how many of them were taken: fewer if the consumer paused in between.
    func received(_ bytes: UnsafeRawBufferPointer) -> Int

    /// Push style: calls `receive`, once, with memory that the consumer lends, and delivers as many bytes as it
    /// returns. Returns false if the consumer lends none, because it takes bytes by `received(_:)`.
    func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool

    /// Push style: EOF was received.
    func receivedEOF()

    /// Some of the bytes that the driver had taken were sent.
    func flushed()

    /// A call of the driver failed, which ends the connection.
    ///
    /// - Parameter operation: What was tried, as a verb, such as `receive from`.
    func failed(_ error: Errno, operation: String)

    /// The user's last reference is gone.
    func abandoned()

    /// The loop was closed.
    func loopClosed()

    /// What the driver belongs to, for reports.
    var connection: ConnectionReport { get }
}

/// What reports say of a connection.
package struct ConnectionReport {
    package var label: String
    /// The call that opened the connection, or created its server.
    package var origin: CallSite?
    /// Whether its user has not begun to close it.
    package var isLeftOpen: Bool
}

/// A reference to a delegate that its owner uses without retaining it once more, since a call is made for every
/// message.
struct RetainedDelegate: ~Copyable {
    /// The two words of an existential, the first of which is the reference.
    private let words: (object: UnsafeRawPointer?, witness: UnsafeRawPointer?)

    init(_ delegate: (any StreamDriverDelegate)?) {
        words = unsafeBitCast(delegate, to: (object: UnsafeRawPointer?, witness: UnsafeRawPointer?).self)
        if let object = words.object { _ = Unmanaged<AnyObject>.fromOpaque(object).retain() }
    }

    deinit {
        if let object = words.object { Unmanaged<AnyObject>.fromOpaque(object).release() }
    }

    /// SAFETY: the object is retained here; the copy retains it once more.
    var delegate: (any StreamDriverDelegate)? {
        withUnsafePointer(to: words) {
            UnsafeRawPointer($0).assumingMemoryBound(to: (any StreamDriverDelegate)?.self).pointee
        }
    }

    @inline(__always)
    var isEmpty: Bool { words.object == nil }

    /// Calls `body` with the delegate, which something else keeps alive meanwhile; returns `none` without a delegate.
    @inline(__always)
    func withUnretained<Result>(_ none: Result, _ body: (any StreamDriverDelegate) -> Result) -> Result {
        if isEmpty { return none }
        // SAFETY: the words are those of an existential. It is read where it stands, which does not retain it.
        return withUnsafePointer(to: words) {
            body(UnsafeRawPointer($0).assumingMemoryBound(to: (any StreamDriverDelegate).self).pointee)
        }
    }

    /// The former delegate is released when this one is in place.
    mutating func replace(by delegate: (any StreamDriverDelegate)?) {
        var former = RetainedDelegate(delegate)
        swap(&self, &former)
    }
}
