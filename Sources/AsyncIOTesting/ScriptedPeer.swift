import AsyncIO
import CAsyncIO
import Proactors
import Selectors
public import SystemPackage

/// The peer of a scripted connection, and the kernel in between: what the peer sends, and how many bytes the kernel
/// accepts.
///
/// The functions are named after what a peer does. The loop sees readiness or completions, depending on its kind. The
/// socket is a real one, which the loop shuts down and closes, so leaks and errors of ownership are found.
public final class ScriptedPeer {
    /// Something that has arrived and was not received.
    private enum Arrival {
        case bytes(ByteQueue)
        case end
        case failure(Errno)
    }

    /// All bytes that the loop's side has sent, as long as ``retainsWritten`` was true.
    public private(set) var written: [UInt8] = []
    /// Whether received bytes are appended to ``written``. Set it to false in a test that moves very many bytes.
    public var retainsWritten = true
    /// The number of receives of the loop's side, including those that would block.
    public private(set) var receives = 0
    /// The number of bytes that each send accepted.
    public private(set) var sends: [Int] = []
    /// The number of pieces of each vectored send. A proactor loop makes none.
    public private(set) var vectors: [Int] = []

    private var arrivals: [Arrival] = []
    private var mostBytesPerSend: Int?
    private var isBlocked = false
    private var isLate = false
    private var sendFailure: Errno?
    private var nextReceiveFailure: Errno?
    private var nextSendFailure: Errno?

    private let far: Socket
    private let near: FileDescriptor
    private let nearFile: OpenFile
    private let poller: Poller

    enum Poller {
        case selector(ScriptedSelector)
        case proactor(ScriptedProactor)
    }

    init(_ near: Socket, far: Socket, _ poller: Poller) {
        self.near = near.descriptor
        nearFile = OpenFile(near.descriptor)
        self.far = far
        self.poller = poller
    }

    /// The descriptor of the loop's side.
    var descriptor: FileDescriptor { near }

    deinit {
        far.close()
    }

    // MARK: What the peer and the kernel do

    /// Makes bytes arrive.
    public func sends(_ bytes: [UInt8]) {
        if case .bytes(var waiting)? = arrivals.last {
            // Removed from the array first, so that its memory is not copied.
            arrivals.removeLast()
            append(bytes, to: &waiting)
        } else {
            var waiting = ByteQueue(limitBytes: .max)
            append(bytes, to: &waiting)
        }
        notifyLoop(.read)
    }

    private func append(_ bytes: [UInt8], to waiting: inout ByteQueue) {
        do {
            try waiting.append(bytes)
        } catch {
            preconditionFailure("a queue without a limit is full: \(error)")
        }
        arrivals.append(.bytes(waiting))
    }

    /// Makes the UTF-8 bytes of `text` arrive.
    public func sends(_ text: String) {
        sends(Array(text.utf8))
    }

    /// Makes the peer's EOF arrive.
    public func ends() {
        arrivals.append(.end)
        notifyLoop([.read, .hangup])
    }

    /// Makes a reset arrive: both directions fail, reading after the bytes that have already arrived.
    public func resets() {
        arrivals.append(.failure(.connectionReset))
        sendFailure = .connectionReset
        notifyLoop([.read, .write, .hangup])
    }

    /// Makes the next receive fail. The one after it works as if nothing had happened.
    public func failsNextReceive(with error: Errno) {
        nextReceiveFailure = error
        notifyLoop(.read)
    }

    /// Makes the next send fail. The one after it works as if nothing had happened.
    public func failsNextSend(with error: Errno) {
        nextSendFailure = error
    }

    /// Makes each send accept at most `bytes` bytes, or all of them for `nil`.
    public func takes(atMost bytes: Int?) {
        mostBytesPerSend = bytes
    }

    /// Makes the kernel's send buffer full until ``unblocksWrites()``.
    public func blocksWrites() {
        isBlocked = true
    }

    public func unblocksWrites() {
        isBlocked = false
        notifyLoop(.write)
    }

    /// Delays completions until ``completesNow()``, including those of cancelled operations. Has no effect on a
    /// selector loop.
    public func completesLate() {
        isLate = true
        if case .proactor(let proactor) = poller { proactor.cancelsAtOnce = false }
    }

    /// Completes the operations that were delayed: a receive with the bytes that have arrived, even if it was
    /// cancelled, and other cancelled operations with `ECANCELED`.
    public func completesNow() {
        isLate = false
        guard case .proactor(let proactor) = poller else { return }
        proactor.cancelsAtOnce = true
        carryOut(proactor)
        for operation in proactor.operations where operation.isCancelled && isMine(operation) {
            proactor.complete(operation.token, result: -Int(Errno.canceled.rawValue))
        }
    }

    // MARK: What the loop's side did

    /// `written` as text.
    public var writtenText: String { String(decoding: written, as: UTF8.self) }

    /// Whether the loop's side has shut down its write side, or closed the socket.
    public var wasShutDown: Bool {
        var byte: UInt8 = 0
        return withUnsafeMutableBytes(of: &byte) { far.receive(into: $0) } != .wouldBlock
    }

    /// Whether the loop's side has closed the socket.
    public var wasClosed: Bool { nearFile.wasClosed }

    // MARK: Readiness and completions

    private func notifyLoop(_ readiness: Readiness) {
        switch poller {
        case .selector(let selector): if !wasClosed { selector.report(near, readiness) }
        case .proactor(let proactor): carryOut(proactor)
        }
    }

    /// Completes the operations of this connection that can complete.
    func carryOut(_ proactor: ScriptedProactor) {
        if isLate { return }
        for operation in proactor.operations where isMine(operation) {
            let memory = operation.operation.memory
            switch operation.operation.kind {
            case .receive: complete(operation, take(into: memory), proactor)
            case .receiveIntoPool: receiveIntoPool(operation, proactor)
            case .send: complete(operation, give(UnsafeRawBufferPointer(memory)), proactor)
            default: break
            }
        }
    }

    /// Completes a receive with all bytes that have arrived, unless it was cancelled.
    private func receiveIntoPool(_ operation: ScriptedProactor.Operation, _ proactor: ScriptedProactor) {
        while nextReceiveFailure == nil, case .bytes? = arrivals.first {
            let buffer = proactor.takeBuffer(for: operation.operation)
            guard case .bytes(let count) = take(into: buffer.bytes) else { break }
            proactor.complete(operation.token, result: count, hasMore: true, buffer: buffer)
        }
        complete(operation, take(into: UnsafeMutableRawBufferPointer(start: nil, count: 0)), proactor)
    }

    private func complete(_ operation: ScriptedProactor.Operation, _ result: IOResult, _ proactor: ScriptedProactor) {
        switch result {
        case .bytes(let count): proactor.complete(operation.token, result: count)
        case .wouldBlock: break
        case .failed(let error): proactor.complete(operation.token, result: -Int(error.rawValue))
        }
    }

    /// Whether an operation is one of this connection. After the close, the number may be that of the next connection.
    private func isMine(_ operation: ScriptedProactor.Operation) -> Bool {
        operation.operation.descriptor == near.rawValue && !wasClosed
    }

    private func take(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        receives += 1
        if let error = nextReceiveFailure.take() { return .failed(error) }
        switch arrivals.first {
        case nil: return .wouldBlock
        case .end: return .bytes(0)
        case .failure(let error): return .failed(error)
        case .bytes(var bytes):
            let count = min(buffer.count, bytes.count)
            bytes.bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            bytes.consume(count)
            if bytes.isEmpty { arrivals.removeFirst() } else { arrivals[0] = .bytes(bytes) }
            return .bytes(count)
        }
    }

    private func give(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        give(byteCount: bytes.count) { taken in written += UnsafeRawBufferPointer(rebasing: bytes[..<taken]) }
    }

    /// Returns the result of a send of `byteCount` bytes. Calls `retain` with the number of bytes that the send
    /// accepts, if they are to be retained.
    private func give(byteCount: Int, _ retain: (Int) -> Void) -> IOResult {
        if let sendFailure { return .failed(sendFailure) }
        if isBlocked { return .wouldBlock }
        if let error = nextSendFailure.take() { return .failed(error) }
        let taken = min(byteCount, mostBytesPerSend ?? byteCount)
        if retainsWritten { retain(taken) }
        sends.append(taken)
        return .bytes(taken)
    }
}

/// The functions that a selector loop calls instead of the system.
extension ScriptedPeer {
    func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        vectors.append(pieces.count)
        // One send, which a limit may end within any piece.
        let offered = pieces.reduce(0) { $0 + $1.iov_len }
        let result = give(byteCount: offered) { taken in
            var taken = taken
            for piece in pieces where taken > 0 {
                let count = min(taken, piece.iov_len)
                written += UnsafeRawBufferPointer(start: piece.iov_base, count: count)
                taken -= count
            }
        }
        return followed(result, offered)
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        take(into: buffer)
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        followed(give(bytes), bytes.count)
    }

    /// Reports room after a short send, as the kernel does.
    private func followed(_ result: IOResult, _ offered: Int) -> IOResult {
        if case .bytes(let count) = result, count < offered { notifyLoop(.write) }
        return result
    }
}
