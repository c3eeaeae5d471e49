import AsyncIOSystem
import Proactors

/// The memory of sends that do not wait, and the connections that have made one.
///
/// What connections write in one iteration is collected here, and is submitted with the next wait, without a system
/// call of its own. When the wait returns, the proactor has usually sent everything, and nothing happens for a
/// connection whose delegate does not wait for that. The memory is used again in each iteration, so it stays in the
/// cache.
struct ImmediateSends: ~Copyable {
    /// A connection's bytes. They are in flight while ``epoch`` is the one of the sends.
    struct Piece {
        fileprivate(set) var memory: UnsafeMutableRawPointer?
        fileprivate(set) var epoch: UInt64 = 0
        fileprivate(set) var byteCount: UInt32 = 0

        var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: Int(byteCount)) }

        mutating func removeAll() { byteCount = 0 }
    }

    /// Owns the object of a loop, which is used through a pointer, like ``LoopCore``.
    final class Owner {
        let sends = UnsafeMutablePointer<ImmediateSends>.allocate(capacity: 1)

        init() { sends.initialize(to: ImmediateSends()) }

        deinit {
            sends.deinitialize(count: 1)
            sends.deallocate()
        }
    }

    /// The most bytes that are collected for one connection. A copy of more costs more than a system call.
    static let mostBytes = 4 * 1024

    /// The number of times that all sends have ended. It begins at 1, so that a new piece is not in flight.
    private(set) var epoch: UInt64 = 1
    private var memory: UnsafeMutableRawPointer?
    private var used = 0
    private var full: [UnsafeMutableRawPointer] = []
    /// The received bytes that a protocol is given now, and their buffer.
    private var delivered = UnsafeRawBufferPointer(start: nil, count: 0)
    private var deliveredBuffer: PooledBuffer?
    /// Received buffers from which bytes are sent.
    private var retained = ReusedList<PooledBuffer>()
    /// Connections whose bytes will be submitted.
    private var queued = ReusedList<Unmanaged<CompletionStreamDriver>>()
    /// For `submitQueued`, so that it allocates nothing.
    private var submitted = ReusedList<ImmediateSend>()
    /// Connections that have to be notified when the sends have ended.
    private var awaited: [CompletionStreamDriver] = []

    var hasQueued: Bool { !queued.isEmpty }
    var isAwaited: Bool { !awaited.isEmpty }

    /// Adds bytes to a connection's piece. There must not be more than `mostBytes` in all.
    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer, to piece: inout Piece, _ pool: Unmanaged<BufferPool>) {
        guard let first = bytes.baseAddress else { return }
        if piece.epoch != epoch || piece.byteCount == 0 {
            piece.memory = makeRoom(for: bytes.count, pool)
            piece.byteCount = 0
            piece.epoch = epoch
        } else if !isLast(piece) || BufferPool.Size.large.byteCount - used < bytes.count {
            let moved = makeRoom(for: Int(piece.byteCount) + bytes.count, pool)
            moved.copyMemory(from: piece.memory!, byteCount: Int(piece.byteCount))
            piece.memory = moved
            used += Int(piece.byteCount)
        }
        (piece.memory! + Int(piece.byteCount)).copyMemory(from: first, byteCount: bytes.count)
        piece.byteCount &+= UInt32(truncatingIfNeeded: bytes.count)
        used &+= bytes.count
    }

    // MARK: Sending what was received

    @inline(__always) mutating func beginDelivery(of bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer) {
        delivered = bytes
        deliveredBuffer = buffer
    }

    @inline(__always) mutating func endDelivery() { delivered = UnsafeRawBufferPointer(start: nil, count: 0) }

    /// Returns the buffer of bytes that are being delivered, and `nil` for any others.
    func bufferOfDelivered(_ bytes: UnsafeRawBufferPointer) -> PooledBuffer? {
        guard let start = delivered.baseAddress, let first = bytes.baseAddress else { return nil }
        return start <= first && first + bytes.count <= start + delivered.count ? deliveredBuffer : nil
    }

    /// Makes bytes of a buffer a connection's piece, which must be empty, and retains the buffer until the sends have
    /// ended. There must be more than `mostBytes`, so that nothing is appended to them.
    mutating func take(_ bytes: UnsafeRawBufferPointer, in buffer: PooledBuffer, as piece: inout Piece) {
        piece.memory = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        piece.byteCount = UInt32(truncatingIfNeeded: bytes.count)
        piece.epoch = epoch
        buffer.retain()
        retained.append(buffer)
    }

    private func isLast(_ piece: Piece) -> Bool { piece.memory! + Int(piece.byteCount) == memory! + used }

    @inline(__always)
    private mutating func makeRoom(for count: Int, _ pool: Unmanaged<BufferPool>) -> UnsafeMutableRawPointer {
        if let memory, BufferPool.Size.large.byteCount &- used >= count { return memory + used }
        if let memory { full.append(memory) }
        let fresh = pool.take(.large)
        memory = fresh
        used = 0
        return fresh
    }

    @inline(__always) mutating func queue(_ driver: CompletionStreamDriver) {
        queued.append(Unmanaged.passUnretained(driver))
    }

    /// Submits what the queued connections have written.
    ///
    /// SAFETY: a driver that is released in an iteration lives until after this.
    @inline(never) mutating func submitQueued(to proactor: any BaseProactor) {
        submitted.removeAll()
        for driver in queued.elements {
            driver._withUnsafeGuaranteedRef { driver in
                guard let send = driver.beginImmediateSend() else { return }
                submitted.append(send)
                if driver.awaitsImmediateSend { awaited.append(driver) }
            }
        }
        queued.removeAll()
        proactor.submitImmediateSends(submitted.elements)
    }

    mutating func notify(_ driver: CompletionStreamDriver) { awaited.append(driver) }

    /// All sends have ended, and the failures were handled. Returns the connections to notify.
    @inline(__always) mutating func ended(_ pool: Unmanaged<BufferPool>) -> [CompletionStreamDriver] {
        epoch &+= 1
        used = 0
        if !full.isEmpty { returnFull(pool) }
        if !retained.isEmpty { releaseRetained(pool) }
        if awaited.isEmpty { return [] }
        var notified: [CompletionStreamDriver] = []
        swap(&notified, &awaited)
        return notified
    }

    private mutating func returnFull(_ pool: Unmanaged<BufferPool>) {
        for memory in full { pool.put(memory, .large) }
        full = []
    }

    private mutating func releaseRetained(_ pool: Unmanaged<BufferPool>) {
        for buffer in retained.elements { buffer.release(to: pool) }
        retained.removeAll()
    }

    /// For the close, when the kernel uses no memory any more.
    mutating func removeAll(_ pool: Unmanaged<BufferPool>) {
        returnFull(pool)
        releaseRetained(pool)
        if let memory = memory.take() { pool.put(memory, .large) }
        queued.removeAll()
        awaited = []
    }
}
