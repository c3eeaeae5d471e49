package import SystemPackage

/// The object that a stream driver reports to: a transport, or a filter between the driver and a transport.
///
/// - Thread: the loop's.
package protocol StreamDriverDelegate: AnyObject {
    /// Pull style: a receive may continue. Returns the job of the task that waits for that.
    func becameReadable() -> UnownedJob?

    /// A send may continue. Returns the job of the task that waits for that if `returningJob`, and queues it otherwise.
    func becameWritable(returningJob: Bool) -> UnownedJob?

    /// Push style: bytes were received. Returns how many of them were taken: fewer if the consumer paused in between.
    func received(_ bytes: UnsafeRawBufferPointer) -> Int

    /// Push style: calls `receive` once with memory of the consumer, and delivers as many bytes as it returns. Returns
    /// false if the consumer has no such memory, because it gets bytes through `received(_:)`.
    func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool

    /// Push style: EOF was received.
    func receivedEOF()

    /// Some of the bytes that the driver had accepted were sent.
    func flushed()

    /// A call of the driver failed, which ends the connection.
    ///
    /// - Parameter operation: The operation that failed, as a verb, such as `receive from`.
    func failed(_ error: Errno, operation: String)

    /// The user has released the last reference.
    func abandoned()

    /// The loop was closed.
    func loopClosed()

    /// The connection of the driver, for reports.
    var connection: ConnectionReport { get }
}

/// The description of a connection in reports.
package struct ConnectionReport {
    package var label: String
    /// The call that opened the connection, or created its server.
    package var origin: CallSite?
    /// Whether its user has not begun to close it.
    package var isLeftOpen: Bool
}

/// A retained reference to a delegate. Calls through it do not retain the delegate again, because one is made for every
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

    /// Calls `body` with the delegate, which something else retains meanwhile. Without a delegate, does not call it.
    @inline(__always)
    func withUnretained<Result>(_ body: (any StreamDriverDelegate) -> Result) -> Result? {
        if isEmpty { return nil }
        // SAFETY: the words are those of an existential. It is read in place, which does not retain it.
        return withUnsafePointer(to: words) {
            body(UnsafeRawPointer($0).assumingMemoryBound(to: (any StreamDriverDelegate).self).pointee)
        }
    }

    /// Replaces the delegate. The former delegate is released after the new one is set.
    mutating func replace(by delegate: (any StreamDriverDelegate)?) {
        var former = RetainedDelegate(delegate)
        swap(&self, &former)
    }
}
