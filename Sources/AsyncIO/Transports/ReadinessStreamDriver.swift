package import AsyncIOSystem
import Selectors
package import SystemPackage

/// Calls the kernel when the selector says that it would not block.
///
/// The socket is registered once, edge-triggered, for both directions, so no message costs a registration. The price is that
/// readiness must be remembered here: it is told once, and lasts until a call would block.
///
/// A receive that fills less than the buffer has emptied the socket, which saves the call that would find that out. Not so
/// after a hang-up was told, since the end that follows the bytes has no event of its own any more, nor after urgent data
/// was told, since a receive stops in front of it.
package class ReadinessStreamDriver: StreamDriver {
    // SAFETY: the loop holds its drivers; a driver that it let go is held by a transport, which holds the loop.
    private unowned(unsafe) let loop: SelectorEventLoop
    @exclusivity(unchecked) private var isReadable = false
    @exclusivity(unchecked) private var isWritable = true
    /// Whether a short receive may leave bytes behind, or an end, that no further event tells of.
    @exclusivity(unchecked) private var mustReadOn = false
    @exclusivity(unchecked) private var readingShare = TickShare()
    @exclusivity(unchecked) private var writingShare = TickShare()
    @exclusivity(unchecked) private var isPushing = false
    @exclusivity(unchecked) private var isWatched = false
    @exclusivity(unchecked) private var isClosed = false

    package init(loop: SelectorEventLoop, socket: Socket) {
        self.loop = loop
        super.init(socket: socket)
    }

    // MARK: System calls, for tests to script

    package func systemReceive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult { socket.receive(into: buffer) }

    package func systemSend(_ bytes: UnsafeRawBufferPointer) -> IOResult { socket.send(bytes) }

    // MARK: Registration

    package final func startWatching() throws(Errno) {
        _ = loop.register(self)
        isWatched = true
        do {
            try loop.watch(socket.descriptor, self, for: [.read, .write], .edge)
        } catch {
            isWatched = false
            throw error
        }
    }

    package final override func detach() {
        guard isWatched else { return }
        isWatched = false
        loop.unwatch(socket.descriptor, self)
    }

    package final override func closeSocket() {
        guard !isClosed else { return }
        isClosed = true
        detach()
        loop.unregister(self)
        transport = nil
        socket.close()
    }

    // MARK: Its turn

    package final override func run() -> UnownedJob? {
        let news = readiness
        readiness = []
        if !news.isDisjoint(with: [.hangup, .urgent]) { mustReadOn = true }
        var job: UnownedJob?
        if news.contains(.read) {
            isReadable = true
            if isPushing { push() } else { job = transport?.becameReadable() }
        }
        if news.contains(.write), !isWritable {
            isWritable = true
            let writerJob = transport?.becameWritable(returningJob: job == nil)
            job = job ?? writerJob
        }
        return job
    }

    // MARK: Push

    package final override func startReading() {
        isPushing = true
        if isReadable { readAgain() }
    }

    package final override func stopReading() {
        isPushing = false
    }

    /// One receive per turn, so that one busy peer does not keep the others waiting.
    private final func push() {
        guard let transport else { return }
        let buffer = loop.receiveBuffer.bytes
        switch systemReceive(into: buffer) {
        case .bytes(0):
            isReadable = false
            transport.receivedEnd()
        case .bytes(let count):
            if count < buffer.count && !mustReadOn { isReadable = false }
            transport.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            if isReadable && isPushing { readAgain() }
        case .wouldBlock:
            isReadable = false
        case .failed(let error):
            transport.failed(error, operation: "receive from")
        }
    }

    /// Its next turn, without another event.
    private final func readAgain() {
        readiness.insert(.read)
        loop.queue(self)
    }

    // MARK: Pull

    package final override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard isReadable else { return .wouldBlock }
        guard readingShare.isLeft(in: loop.core.pointee.tick) else {
            readAgain()
            return .wouldBlock
        }
        let result = systemReceive(into: buffer)
        switch result {
        case .bytes(let count):
            readingShare.use(count)
            if count > 0 && count < buffer.count && !mustReadOn { isReadable = false }
        case .wouldBlock:
            isReadable = false
        case .failed:
            break
        }
        return result
    }

    package final override func grantsSend(of count: Int) -> Bool {
        guard isWritable else { return false }
        if writingShare.isLeft(in: loop.core.pointee.tick) {
            writingShare.use(count)
            return true
        }
        // Its next turn, without another event.
        isWritable = false
        readiness.insert(.write)
        loop.queue(self)
        return false
    }

    package final override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard isWritable else { return .wouldBlock }
        let result = systemSend(bytes)
        switch result {
        case .bytes(let count): if count < bytes.count { isWritable = false }
        case .wouldBlock: isWritable = false
        case .failed: break
        }
        return result
    }

    package override func shutdownWrite() {
        // A connection that is gone already has nothing to end.
        try? socket.shutdownWrite()
    }
}
