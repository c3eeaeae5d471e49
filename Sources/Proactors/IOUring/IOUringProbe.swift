#if os(Linux)
import CAsyncIO
import Synchronization
package import SystemPackage

/// What the kernel allows this process to do with io_uring: the result of each call that a proactor needs, as a pure
/// value, so that a test can check every refusal.
package struct IOUringProbe: Sendable {
    /// The error of the first call that failed, and the name of the call.
    package var failure: (call: String, errno: Errno)?
    package var features: UInt32
    /// The operations that the kernel has.
    package var operations: Set<UInt8>

    package init(
        failure: (call: String, errno: Errno)? = nil, features: UInt32 = 0, operations: Set<UInt8> = []
    ) {
        self.failure = failure
        self.features = features
        self.operations = operations
    }

    package static let neededFeatures: [(UInt32, String)] = [
        (AIO_RING_FEATURE_NODROP, "completions that are never dropped"),
        (AIO_RING_FEATURE_SUBMIT_STABLE, "stable submissions"),
        (AIO_RING_FEATURE_FAST_POLL, "internal polling"),
        (AIO_RING_FEATURE_EXT_ARG, "waits with a time limit"),
        (AIO_RING_FEATURE_CQE_SKIP, "skipped completions"),
    ]

    package static let neededOperations: [(UInt8, String)] = [
        (AIO_RING_POLL_ADD, "poll"), (AIO_RING_ACCEPT, "accept"),
        (AIO_RING_ASYNC_CANCEL, "cancel"), (AIO_RING_CONNECT, "connect"),
        (AIO_RING_CLOSE, "close"), (AIO_RING_SEND, "send"),
        (AIO_RING_RECV, "receive"), (AIO_RING_SENDMSG, "send message"),
        (AIO_RING_RECVMSG, "receive message"), (AIO_RING_READ, "read"),
        (AIO_RING_WRITE, "write"), (AIO_RING_FSYNC, "fsync"),
        (AIO_RING_OPENAT, "open"), (AIO_RING_STATX, "stat"),
        (AIO_RING_SPLICE, "splice"),
    ]

    /// Why a proactor cannot work; `nil` if it can.
    package var refusal: IOUringUnavailable? {
        if let (call, errno) = failure { return IOUringUnavailable(call, errno) }
        for (feature, name) in Self.neededFeatures where features & feature == 0 {
            return IOUringUnavailable(.notSupported, "the kernel's io_uring lacks \(name)")
        }
        for (operation, name) in Self.neededOperations where !operations.contains(operation) {
            return IOUringUnavailable(.notSupported, "the kernel's io_uring lacks the operation '\(name)'")
        }
        return nil
    }

    /// Whether an earlier probe has found everything, so that later ones need not repeat it.
    private static let hasPassed = Atomic<Bool>(false)

    /// Throws the reason if this process cannot use io_uring. The first success is remembered.
    static func check() throws(IOUringUnavailable) {
        if hasPassed.load(ordering: .relaxed) { return }
        if let refusal = probe().refusal { throw refusal }
        hasPassed.store(true, ordering: .relaxed)
    }

    /// Makes the calls, with a small ring.
    package static func probe() -> IOUringProbe {
        var ring = aio_ring()
        var buffers: UnsafeMutablePointer<aio_ring_buffer>?
        defer {
            aio_ring_close(&ring)
            if let buffers { aio_ring_buffers_close(buffers, 4) }
        }
        var probe = IOUringProbe()
        func failed(_ result: CInt, _ call: String) -> Bool {
            if result < 0 { probe.failure = (call, Errno(rawValue: -result)) }
            return result < 0
        }
        // Not a descriptor before.
        ring.fd = -1
        if failed(aio_ring_open(&ring, 4, 8), "io_uring_setup") { return probe }
        probe.features = ring.features

        var supported = [UInt8](repeating: 0, count: 256)
        if failed(aio_ring_probe(&ring, &supported, 256), "io_uring_register (IORING_REGISTER_PROBE)") { return probe }
        probe.operations = Set(supported.indices.lazy.filter { supported[$0] != 0 }.map { UInt8($0) })

        let opened = aio_ring_buffers_open(&ring, 0, 4, &buffers)
        if failed(opened, "io_uring_register (IORING_REGISTER_PBUF_RING)") { return probe }
        if failed(aio_ring_enable(&ring), "io_uring_register (IORING_REGISTER_ENABLE_RINGS)") { return probe }
        var nothing = aio_ring_submission()
        nothing.opcode = AIO_RING_NOP
        _ = aio_ring_push(&ring, &nothing)
        _ = failed(aio_ring_enter(&ring, 1, 0), "io_uring_enter")
        return probe
    }
}
#endif
