import AsyncIOSystem
import CAsyncIO

/// A datagram that was received, in memory that is valid until the driver's next receive.
package struct ReceivedDatagram {
    package var bytes: UnsafeRawBufferPointer
    /// The C structure of the sender's address.
    var address: UnsafeRawPointer
    /// 0 for a sender without an address.
    var addressLength: Int

    var addressBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: address, count: addressLength) }

    /// The sender; `nil` if it has no address.
    @inline(__always) package var sender: SocketAddress? {
        addressLength == 0 ? nil : SocketAddress(at: address, byteCount: addressLength)
    }
}

/// The messages of one system call, each with its address and one piece of memory. Used again and again.
struct MessageVector: ~Copyable {
    let messages: UnsafeMutablePointer<aio_message>
    let pieces: UnsafeMutablePointer<iovec>
    private let addresses: UnsafeMutablePointer<sockaddr_storage>
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        messages = .allocate(capacity: capacity)
        pieces = .allocate(capacity: capacity)
        addresses = .allocate(capacity: capacity)
        for index in 0..<capacity {
            pieces[index] = iovec()
            aio_message_set(messages + index, addresses + index, socklen_t(SocketAddress.mostBytes), pieces + index)
        }
    }

    deinit {
        messages.deallocate()
        pieces.deallocate()
        addresses.deallocate()
    }

    @inline(__always) func address(_ index: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(addresses + index)
    }

    /// Sets the bytes of a message that is sent, and where its address is; the length is 0 for none.
    @inline(__always)
    func set(_ index: Int, _ bytes: UnsafeRawBufferPointer, _ address: UnsafeRawPointer, _ addressLength: Int) {
        pieces[index] = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        aio_message_set(
            messages + index, addressLength == 0 ? nil : UnsafeMutableRawPointer(mutating: address),
            socklen_t(truncatingIfNeeded: addressLength), pieces + index)
    }
}

/// The memory of a loop that datagrams are received into and sent from, by one driver at a time.
///
/// A slot has room for the largest UDP datagram, so nothing is cut off. The kernel provides only those pages of the
/// slots that have been in use. A unix socket may have larger datagrams, and gets fewer and larger slots of the same
/// memory.
///
/// What a driver sends is collected until the end of its run, or of the iteration, and is sent with one system call.
struct DatagramMemory: ~Copyable {
    static let receivedAtOnce = 64
    static let sentAtOnce = 64
    private static let slotBytes = 64 * 1024
    private static let largeSlotBytes = 256 * 1024
    /// Not a multiple of a page, because the beginnings of all slots would compete for the same lines of the cache.
    private static let slotStride = slotBytes + 192
    /// The room for collected datagrams. Larger ones are sent at once, from the caller's memory.
    static let collectedBytes = 64 * 1024
    static let mostCollectedBytes = 16 * 1024

    let slots = MessageVector(capacity: receivedAtOnce)
    let largeSlots: MessageVector
    private let slotMemory: UnsafeMutableRawPointer
    /// For the delegate of the driver that receives.
    let received = UnsafeMutablePointer<ReceivedDatagram>.allocate(capacity: sentAtOnce)

    let sends = MessageVector(capacity: sentAtOnce)
    private let sendMemory = UnsafeMutableRawPointer.allocate(byteCount: collectedBytes, alignment: 64)
    /// The driver whose datagrams are collected. It removes itself before it is released.
    private(set) var sender: Unmanaged<DatagramDriver>?
    private(set) var collectedCount = 0
    private(set) var collectedByteCount = 0

    init() {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: Self.receivedAtOnce * Self.slotStride, alignment: 64)
        slotMemory = memory
        largeSlots = MessageVector(capacity: Self.receivedAtOnce * Self.slotBytes / Self.largeSlotBytes)
        for index in 0..<slots.capacity {
            slots.pieces[index] = iovec(iov_base: memory + index * Self.slotStride, iov_len: Self.slotBytes)
        }
        for index in 0..<largeSlots.capacity {
            largeSlots.pieces[index] = iovec(
                iov_base: memory + index * Self.largeSlotBytes, iov_len: Self.largeSlotBytes)
        }
    }

    deinit {
        slotMemory.deallocate()
        received.deallocate()
        sendMemory.deallocate()
    }

    // MARK: Collecting

    @inline(__always) func isCollecting(for driver: DatagramDriver) -> Bool {
        sender?.toOpaque() == Unmanaged.passUnretained(driver).toOpaque()
    }

    @inline(__always) func hasRoom(for byteCount: Int) -> Bool {
        collectedCount < Self.sentAtOnce && collectedByteCount &+ byteCount <= Self.collectedBytes
    }

    /// Adds a datagram of a driver, for which there must be room.
    @inline(__always)
    mutating func collect(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress?, for driver: DatagramDriver) {
        sender = Unmanaged.passUnretained(driver)
        let memory = sendMemory + collectedByteCount
        if let base = bytes.baseAddress { memory.copyMemory(from: base, byteCount: bytes.count) }
        let place = sends.address(collectedCount)
        sends.set(
            collectedCount, UnsafeRawBufferPointer(start: memory, count: bytes.count), place,
            address?.write(to: place) ?? 0)
        collectedCount &+= 1
        collectedByteCount &+= bytes.count
    }

    mutating func removeCollected() {
        sender = nil
        collectedCount = 0
        collectedByteCount = 0
    }
}

extension UnsafeMutablePointer<LoopCore> {
    /// The memory for datagrams, which is allocated for the loop's first endpoint.
    func makeDatagramMemory() -> UnsafeMutablePointer<DatagramMemory> {
        if let memory = pointee.datagramMemory { return memory }
        let memory = UnsafeMutablePointer<DatagramMemory>.allocate(capacity: 1)
        memory.initialize(to: DatagramMemory())
        pointee.datagramMemory = memory
        return memory
    }
}
