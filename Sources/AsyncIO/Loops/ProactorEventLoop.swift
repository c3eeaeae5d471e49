package import AsyncIOSystem
public import Proactors
import Selectors
package import SystemPackage

/// An event loop over completion: it hands operations to a proactor, which carries them out. asyncio: `ProactorEventLoop`.
open class ProactorEventLoop: EventLoop, @unchecked Sendable {
    private let proactor: any BaseProactor
    private var events: [Completion] = []
    private var pollers: [CInt: EventSource] = [:]

    /// Makes a loop over `proactor`, which is the loop's from then on.
    public init(
        proactor: any BaseProactor, clock: EventLoopClock = .system,
        fileID: StaticString = #fileID, line: UInt = #line
    ) throws {
        self.proactor = proactor
        events.reserveCapacity(Self.reservedEvents)
        let waker = try EventLoop.makeWaker()
        super.init(clock: clock, waker: waker)
        try watchInternals(waker)
        origin = CallSite(fileID: fileID, line: line)
    }

    open override var backendName: String {
        let name = "\(type(of: proactor))"
        return name.hasSuffix("Proactor") ? String(name.dropLast("Proactor".count)).lowercased() : name
    }

    package override func wait(timeoutNanoseconds: Int64?) throws(Errno) {
        try proactor.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
    }

    package override func queueEvents() {
        for event in events {
            // A late completion of a source that is gone. Drivers stay until the kernel gave back their buffers.
            guard let source = core.pointee.sources[OperationToken.source(event.token)]?.pointee else { continue }
            let kind = OperationToken.kind(event.token)
            if kind == OperationToken.poll {
                source.readiness.insert(.read)
                // Level-triggered: asked for again as long as it is watched.
                if event.result >= 0 { rearmPoll(of: source) }
            } else {
                source.stage(kind: kind, result: event.result)
            }
            queue(source)
        }
        events.removeAll(keepingCapacity: true)
    }

    /// Begins an operation of `source`; at most one of each kind at a time.
    package final func submit(_ submission: Submission, kind: UInt8, of source: EventSource) throws(Errno) {
        guard let id = source.id else { throw .invalidArgument }
        try proactor.submit(submission, token: OperationToken.make(id, kind))
    }

    /// Asks for the end of an operation of `source`, which still completes.
    package final func cancel(kind: UInt8, of source: EventSource) {
        guard let id = source.id else { return }
        proactor.cancel(token: OperationToken.make(id, kind))
    }

    package override func watchReadable(_ descriptor: FileDescriptor, _ source: EventSource) throws(Errno) {
        try submit(.pollReadable(descriptor: descriptor.rawValue), kind: OperationToken.poll, of: source)
        pollers[descriptor.rawValue] = source
    }

    package override func unwatch(_ descriptor: FileDescriptor, _ source: EventSource) {
        guard pollers[descriptor.rawValue] === source else { return }
        pollers[descriptor.rawValue] = nil
        cancel(kind: OperationToken.poll, of: source)
    }

    private final func rearmPoll(of source: EventSource) {
        guard let descriptor = pollers.first(where: { $0.value === source })?.key else { return }
        // A proactor that takes no more submissions fails the wait too, which ends the run with the reason.
        try? submit(.pollReadable(descriptor: descriptor), kind: OperationToken.poll, of: source)
    }

    package override func makeStreamDriver(_ socket: Socket) throws(Errno) -> StreamDriver {
        CompletionStreamDriver(loop: self, socket: socket)
    }

    package override func closePoller() {
        pollers = [:]
        proactor.close()
    }
}

/// A source's name and which of its operations it is, in one word.
package enum OperationToken {
    package static let poll: UInt8 = 0
    package static let receive: UInt8 = 1
    package static let send: UInt8 = 2

    static func make(_ id: SlotID, _ kind: UInt8) -> UInt64 { id.bits << 3 | UInt64(kind) }
    static func source(_ token: UInt64) -> SlotID { SlotID(bits: token >> 3) }
    static func kind(_ token: UInt64) -> UInt8 { UInt8(token & 7) }
}
