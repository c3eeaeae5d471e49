package import AsyncIO
package import CAsyncIO
import Proactors
import Selectors
public import SystemPackage

/// The other end of a scripted connection, and the kernel in between: what it sends, and how much it takes.
///
/// The words are those of a peer; the loop sees readiness or completions, depending on its kind. The socket itself is a real
/// one, which is closed and shut down by the loop, so leaks and errors of ownership show.
public final class ScriptedPeer {
    /// What waits to be received.
    private enum Arrival {
        case bytes([UInt8])
        case end
        case failure(Errno)
    }

    /// All bytes that the loop's side has sent.
    public private(set) var written: [UInt8] = []
    /// How often the loop's side has asked for bytes, answers of "not now" included.
    public private(set) var receives = 0
    /// How many bytes each send took.
    public private(set) var sends: [Int] = []
    /// How many pieces each vectored send had. A completion loop makes none.
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

    deinit {
        far.close()
    }

    // MARK: What the peer and the kernel do

    /// Bytes arrive.
    public func sends(_ bytes: [UInt8]) {
        if case .bytes(let waiting)? = arrivals.last {
            arrivals[arrivals.count - 1] = .bytes(waiting + bytes)
        } else {
            arrivals.append(.bytes(bytes))
        }
        goOn(.read)
    }

    /// The UTF-8 bytes of `text` arrive.
    public func sends(_ text: String) {
        sends(Array(text.utf8))
    }

    /// The end of the peer's bytes arrives.
    public func ends() {
        arrivals.append(.end)
        goOn([.read, .hangup])
    }

    /// A reset arrives: after the bytes that wait already, both directions fail.
    public func resets() {
        arrivals.append(.failure(.connectionReset))
        sendFailure = .connectionReset
        goOn([.read, .write, .hangup])
    }

    /// The next receive fails, and the one after it goes on as if nothing had been.
    public func failsNextReceive(with error: Errno) {
        nextReceiveFailure = error
        goOn(.read)
    }

    /// The next send fails, and the one after it goes on as if nothing had been.
    public func failsNextSend(with error: Errno) {
        nextSendFailure = error
    }

    /// Each send takes no more than so many bytes; `nil` is all.
    public func takes(atMost bytes: Int?) {
        mostBytesPerSend = bytes
    }

    /// The kernel's send buffer is full until ``unblocksWrites()``.
    public func blocksWrites() {
        isBlocked = true
    }

    public func unblocksWrites() {
        isBlocked = false
        goOn(.write)
    }

    /// Completions stay away until ``completesNow()``, also those of cancelled operations. Nothing to a readiness loop.
    public func completesLate() {
        isLate = true
        if case .proactor(let proactor) = poller { proactor.cancelsAtOnce = false }
    }

    /// The operations that were held up complete: a receive with what has arrived, be it cancelled, and else as cancelled.
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

    /// Whether the loop's side has ended its writing direction, or closed the socket.
    public var wasShutDown: Bool {
        var byte: UInt8 = 0
        return withUnsafeMutableBytes(of: &byte) { far.receive(into: $0) } != .wouldBlock
    }

    /// Whether the loop's side has closed the socket.
    public var wasClosed: Bool { nearFile.wasClosed }

    // MARK: Readiness and completions

    private func goOn(_ readiness: Readiness) {
        switch poller {
        case .selector(let selector): if !wasClosed { selector.tell(near, readiness) }
        case .proactor(let proactor): carryOut(proactor)
        }
    }

    /// Completes the operations of this connection that can be.
    func carryOut(_ proactor: ScriptedProactor) {
        if isLate { return }
        for operation in proactor.operations where isMine(operation) {
            switch operation.submission {
            case .receive(_, let memory): complete(operation, take(into: memory), proactor)
            case .send(_, let bytes): complete(operation, give(bytes), proactor)
            case .pollReadable: break
            }
        }
    }

    private func complete(_ operation: ScriptedProactor.Operation, _ result: IOResult, _ proactor: ScriptedProactor) {
        switch result {
        case .bytes(let count): proactor.complete(operation.token, result: count)
        case .wouldBlock: break
        case .failed(let error): proactor.complete(operation.token, result: -Int(error.rawValue))
        }
    }

    /// After the close, the number may be that of the next connection.
    private func isMine(_ operation: ScriptedProactor.Operation) -> Bool {
        switch operation.submission {
        case .receive(let socket, _), .send(let socket, _): socket == near.rawValue && !wasClosed
        case .pollReadable: false
        }
    }

    private func take(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        receives += 1
        if let error = nextReceiveFailure.take() { return .failed(error) }
        switch arrivals.first {
        case nil: return .wouldBlock
        case .end: return .bytes(0)
        case .failure(let error): return .failed(error)
        case .bytes(let bytes):
            let fitting = bytes.prefix(buffer.count)
            buffer.copyBytes(from: fitting)
            if fitting.count == bytes.count {
                arrivals.removeFirst()
            } else {
                arrivals[0] = .bytes(Array(bytes.dropFirst(fitting.count)))
            }
            return .bytes(fitting.count)
        }
    }

    private func give(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let sendFailure { return .failed(sendFailure) }
        if isBlocked { return .wouldBlock }
        if let error = nextSendFailure.take() { return .failed(error) }
        let taken = bytes.prefix(mostBytesPerSend ?? bytes.count)
        written += taken
        sends.append(taken.count)
        return .bytes(taken.count)
    }
}

extension ScriptedPeer: StreamCalls {
    package func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        vectors.append(pieces.count)
        var joined: [UInt8] = []
        for piece in pieces { joined += UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len) }
        return joined.withUnsafeBytes { send($0) }
    }

    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        take(into: buffer)
    }

    package func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        let result = give(bytes)
        // After a short send the kernel tells when there is room again.
        if case .bytes(let count) = result, count < bytes.count { goOn(.write) }
        return result
    }
}
