import CAsyncIO
package import SystemPackage

/// The object that a stream driver reports to: a transport, or a filter in between.
/// - Thread: the loop's.
package protocol StreamDriverDelegate: AnyObject {
    /// Pull style: a receive may continue. Returns the job of the task that waits for that.
    func becameReadable() -> UnownedJob?

    /// A send may continue. Returns the job of the task that waits for that if `returningJob`, and queues it otherwise.
    func becameWritable(returningJob: Bool) -> UnownedJob?

    /// Push style: takes received bytes. Returns how many were taken: fewer if the consumer paused in between.
    func received(_ bytes: UnsafeRawBufferPointer) -> Int

    /// Push style: calls `receive` once with memory of the consumer, and delivers as many bytes as it returns. Returns
    /// false if the consumer has no such memory.
    func lend(_ receive: (UnsafeMutableRawBufferPointer) -> Int) -> Bool

    /// Push style.
    func receivedEOF()

    /// Some of the bytes that the driver had accepted were sent.
    func flushed()

    /// Whether something waits for `flushed()`.
    var awaitsFlush: Bool { get }

    /// A call of the driver failed, which ends the connection. `operation` is a verb, such as `receive from`.
    func failed(_ error: Errno, operation: String)

    /// Nobody reads from the other end of a pipe any more, which ends the connection.
    func readerLeft()

    /// A filter has failed, which ends the connection.
    func ended(with error: any Error)

    /// A filter was removed; `driver`, the one below it, takes its place.
    func replaceDriver(by driver: StreamDriver)

    func abandoned()

    func loopClosed()

    var connection: ConnectionReport { get }

    // As the functions above, of the object at an address; these have implementations already.
    static func delegate(_ address: UnsafeRawPointer) -> any StreamDriverDelegate
    static func becameReadable(_ address: UnsafeRawPointer) -> UnownedJob?
    static func becameWritable(_ address: UnsafeRawPointer, returningJob: Bool) -> UnownedJob?
    static func received(_ address: UnsafeRawPointer, _ bytes: UnsafeRawBufferPointer) -> Int
    static func awaitsFlush(_ address: UnsafeRawPointer) -> Bool
}

package struct ConnectionReport {
    package var label: String
    /// The call that opened the connection, or created its server.
    package var origin: CallSite?
    /// Whether its user has not begun to close it.
    package var isLeftOpen: Bool
}

/// A reference to a delegate that is called without retaining it, because there is a call for every message. Calling an
/// existential retains it, so this is the object's address and its type, whose static functions take the address.
struct RetainedDelegate: ~Copyable {
    private let object: Retained<AnyObject>
    private let type: (any StreamDriverDelegate.Type)?

    init(_ delegate: (any StreamDriverDelegate)?) {
        object = Retained(delegate)
        type = delegate.map { Swift.type(of: $0) }
    }

    var delegate: (any StreamDriverDelegate)? {
        guard let object = object.unretained, let type else { return nil }
        return type.delegate(object.toOpaque())
    }

    /// The former delegate is released after the new one is set.
    mutating func replace(by delegate: (any StreamDriverDelegate)?) {
        var former = RetainedDelegate(delegate)
        swap(&self, &former)
    }

    // The calls of every message. A delegate that is detached by one of them lives until the iteration ends.

    /// Begins to load the delegate into the processor's cache, because it is called only after the other completions
    /// of the same wait were handled.
    @inline(__always) func prefetch() {
        if let object = object.unretained { aio_prefetch(object.toOpaque()) }
    }

    @inline(__always) func becameReadable() -> UnownedJob? {
        guard let object = object.unretained, let type else { return nil }
        return type.becameReadable(object.toOpaque())
    }

    @inline(__always) func becameWritable(returningJob: Bool) -> UnownedJob? {
        guard let object = object.unretained, let type else { return nil }
        return type.becameWritable(object.toOpaque(), returningJob: returningJob)
    }

    @inline(__always) func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let object = object.unretained, let type else { return bytes.count }
        return type.received(object.toOpaque(), bytes)
    }

    @inline(__always) var awaitsFlush: Bool {
        guard let object = object.unretained, let type else { return false }
        return type.awaitsFlush(object.toOpaque())
    }
}

/// SAFETY: the address is that of an object of this type, which a driver retains.
extension StreamDriverDelegate {
    package static func delegate(_ address: UnsafeRawPointer) -> any StreamDriverDelegate {
        Unmanaged<Self>.fromOpaque(address).takeUnretainedValue()
    }

    package static func becameReadable(_ address: UnsafeRawPointer) -> UnownedJob? {
        Unmanaged<Self>.fromOpaque(address)._withUnsafeGuaranteedRef { $0.becameReadable() }
    }

    package static func becameWritable(_ address: UnsafeRawPointer, returningJob: Bool) -> UnownedJob? {
        Unmanaged<Self>.fromOpaque(address)._withUnsafeGuaranteedRef { $0.becameWritable(returningJob: returningJob) }
    }

    package static func received(_ address: UnsafeRawPointer, _ bytes: UnsafeRawBufferPointer) -> Int {
        Unmanaged<Self>.fromOpaque(address)._withUnsafeGuaranteedRef { $0.received(bytes) }
    }

    package static func awaitsFlush(_ address: UnsafeRawPointer) -> Bool {
        Unmanaged<Self>.fromOpaque(address)._withUnsafeGuaranteedRef { $0.awaitsFlush }
    }
}
