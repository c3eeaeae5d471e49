package import AsyncIOSystem
package import CAsyncIO
package import Selectors
package import SystemPackage

/// Makes the system calls when the selector has reported that they would not block.
///
/// The descriptor is registered once, edge-triggered where possible, so that no message costs a registration. It is
/// watched for writing only from the first send that would block, because until then the selector would report with
/// each piece of a large message that it is still writable.
package class ReadinessStreamDriver: StreamDriver {
    // SAFETY: the loop retains its drivers, and the transport of a driver that it has released retains the loop.
    final unowned(unsafe) let loop: EventLoop

    /// Creates the driver of `channel` and registers the descriptor. Throws with the descriptor closed.
    package init(
        _ channel: ByteChannel, on loop: EventLoop, for interest: Interest = .read, trigger: Trigger
    ) throws(Errno) {
        self.loop = loop
        super.init(channel)
        systemCallsChanged(areReplaced: loop.core.pointee.systemCalls != nil)
        loop.register(self)
        known.registered(for: interest, trigger)
        do {
            try watch(for: interest)
        } catch {
            close()
            throw error
        }
    }

    /// Called once, by the initializer.
    func watch(for interest: Interest) throws(Errno) {
        try loop.watch(channel.descriptor, self, for: interest, known.trigger)
    }

    /// One flag, so that a call costs one check.
    @inline(__always) private var callsDirectly: Bool { flags.contains(.callsDirectly) }

    package final override func systemCallsChanged(areReplaced: Bool) {
        if channel.isSocket && !areReplaced { flags.insert(.callsDirectly) } else { flags.remove(.callsDirectly) }
    }

    // MARK: Ending

    package final override func detach() {
        if phase != .open { return }
        phase = .detached
        loop.unwatch(channel.descriptor, self)
    }

    package final override func close() {
        if phase >= .closing { return }
        detach()
        loop.unregister(self)
        closeChannel(on: loop)
        detachDelegate(on: loop)
    }

    // MARK: Events

    package override func run() -> UnownedJob? {
        let reported = readiness
        readiness = []
        known.reported(reported)
        var job: UnownedJob?
        if reported.contains(.read) {
            let wasReadable = known.becameReadable()
            if isPushing {
                push()
            } else {
                job = heldDelegate.becameReadable()
                // A filter may have received until the call would block.
                if wasReadable && job == nil && known.isReadable { ignoreRead() }
            }
        }
        if reported.contains(.write) {
            if known.becameWritable() {
                ignoreWrite(reported)
            } else {
                let writerJob = heldDelegate.becameWritable(returningJob: job == nil)
                job = job ?? writerJob
            }
        }
        return job
    }

    // MARK: Interest

    /// The descriptor was known to be readable, and nobody waits for that.
    @inline(__always) private func ignoreRead() {
        if known.trigger == .level { setInterest(known.interest.subtracting(.read)) }
    }

    /// The descriptor was known to be writable. An edge-triggered selector includes that in other events, at no cost.
    private func ignoreWrite(_ reported: Readiness) {
        if known.trigger == .level || reported == .write { setInterest(known.interest.subtracting(.write)) }
    }

    /// A call in `direction` would block, so an event has to report when it would not.
    @inline(__always) private func becameUnready(_ direction: Interest) {
        if !known.interest.contains(direction) { setInterest(known.interest.union(direction)) }
    }

    @inline(never) func setInterest(_ wanted: Interest) {
        guard phase == .open, wanted != known.interest else { return }
        do {
            try loop.rewatch(channel.descriptor, self, from: known.interest, to: wanted, known.trigger)
            known.watched(for: wanted)
        } catch {
            // No event would be reported any more. Called later, because this is in the middle of a call from the
            // delegate.
            loop.callSoon { [self] in delegate?.failed(error, operation: "watch the connection to") }
        }
    }

    // MARK: Push

    package final override func startReading() {
        isPushing = true
        if known.isReadable { readAgain() }
    }

    /// Receives once per run, so that one fast peer does not make the others wait.
    private func push() {
        if lendsMemory { return pushIntoLentMemory() }
        pushIntoOwnMemory()
    }

    @inline(__always) private func pushIntoOwnMemory() {
        let buffer = loop.core.pointee.receiveBuffer
        let result = channel.receive(into: buffer, loop.core, directly: callsDirectly)
        if let count = pushed(result, room: buffer.count) {
            _ = heldDelegate.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        finishPush(result)
    }

    private func pushIntoLentMemory() {
        guard let delegate else { return }
        var result = IOResult.wouldBlock
        let wasLent = delegate.lend { memory in
            result = channel.receive(into: memory, loop.core, directly: callsDirectly)
            return pushed(result, room: memory.count) ?? 0
        }
        if wasLent { finishPush(result) } else { pushIntoOwnMemory() }
    }

    /// Accounts for a receive. Returns the number of bytes, or `nil` if there are none.
    @inline(__always) private func pushed(_ result: IOResult, room: Int) -> Int? {
        guard case .bytes(let count) = result, count > 0 else { return nil }
        loop.core.pointee.budget.use(count)
        if known.received(count, room: room) { becameUnready(.read) }
        return count
    }

    @inline(__always) private func finishPush(_ result: IOResult) {
        switch result {
        case .bytes(0):
            known.receivedEOF()
            ignoreRead()
            delegate?.receivedEOF()
        case .bytes:
            if known.isReadable && isPushing { readAgain() }
        case .wouldBlock:
            known.receiveWouldBlock()
            becameUnready(.read)
        case .failed(let error):
            delegate?.failed(error, operation: "receive from")
        }
    }

    private func readAgain() {
        readiness.insert(.read)
        loop.queue(self)
    }

    // MARK: Pull

    package final override func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        guard known.isReadable else { return .wouldBlock }
        guard known.readingShare.isLeft(in: loop.core.pointee.tick),
            loop.core.pointee.budget.allowsReceive || takeGrant(.read)
        else {
            readAgain()
            return .wouldBlock
        }
        let result = channel.receive(into: buffer, loop.core, directly: callsDirectly)
        switch result {
        case .bytes(let count):
            loop.core.pointee.budget.use(count)
            if known.received(count, room: buffer.count) { becameUnready(.read) }
            known.readingShare.use(count)
        case .wouldBlock:
            known.receiveWouldBlock()
            becameUnready(.read)
        case .failed:
            break
        }
        return result
    }

    package final override func grantsSend(of count: Int) -> Bool {
        guard known.isWritable else { return false }
        guard known.writingShare.isLeft(in: loop.core.pointee.tick) else {
            writeAgain()
            return false
        }
        known.writingShare.use(count)
        return true
    }

    /// As ``readAgain()``, for sending.
    private func writeAgain() {
        known.sendWouldBlock()
        readiness.insert(.write)
        loop.queue(self)
    }

    /// Whether a send may begin now; if not, the delegate is notified when it may.
    @inline(__always) private func mayStartSending() -> Bool {
        known.isWritable && (loop.core.pointee.budget.allowsSend || mayOverdraw())
    }

    @inline(never) private func mayOverdraw() -> Bool {
        if takeGrant(.write) { return true }
        writeAgain()
        return false
    }

    package final override func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard mayStartSending() else { return .wouldBlock }
        let result = channel.send(bytes, loop.core, directly: callsDirectly)
        sent(result, of: bytes.count)
        return result
    }

    package final override func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        guard mayStartSending() else { return .wouldBlock }
        let result = channel.send(pieces, loop.core)
        sent(result, of: pieces.byteCount)
        return result
    }

    package override var sendsFiles: Bool { channel.isSocket }

    package override func sendFile(_ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        guard mayStartSending() else { return .wouldBlock }
        let result = channel.sendFile(file, offset: offset, byteCount: byteCount, loop.core)
        switch result {
        // A short count may be due to the end of the file, after which no event would follow.
        case .bytes(let count): loop.core.pointee.budget.use(count)
        case .wouldBlock: becameUnwritable()
        case .failed: break
        }
        return result
    }

    @inline(__always) private func sent(_ result: IOResult, of offered: Int) {
        switch result {
        case .bytes(let count):
            loop.core.pointee.budget.use(count)
            if count < offered { becameUnwritable() }
        case .wouldBlock: becameUnwritable()
        case .failed: break
        }
    }

    @inline(__always) private func becameUnwritable() {
        known.sendWouldBlock()
        becameUnready(.write)
    }
}
