import AsyncIOSystem
import Selectors
import SystemPackage

/// One listening socket of a server.
final class Listener: EventSource {
    /// How long to back off when descriptors or memory ran out, unless this loop closes a descriptor before, and how often to
    /// report it. asyncio backs off for a second, which is then also how long clients wait when descriptors are free again.
    private static let retryDelay = Duration.milliseconds(100)
    private static let reportInterval = Duration.seconds(1)

    /// Errors without a connection in between that are taken for clients that are gone; more mean that the socket is broken.
    private static let mostFailuresInARow = 64

    /// So that a flood of connections leaves time for those that are open.
    private static let mostAcceptsPerTurn = 64

    let localAddress: SocketAddress?
    private unowned let loop: SelectorEventLoop
    private let socket: Socket
    private let backlog: Int
    private let madeAt: CallSite?
    private let connectionOptions: [SocketOption: Int]
    /// accept(2); a test's own, where the kernel would have to run out of something.
    var acceptConnection: () throws(Errno) -> (socket: Socket, peer: SocketAddress?)?
    private var failuresInARow = 0
    /// Holds the server and, through it, this listener: let go at the end.
    private var accepted: ((StreamDriver, SocketAddress?) throws -> Void)?
    private var retry: TimerHandle?
    private var lastReport: LoopInstant?
    /// Otherwise it does not serve yet, or it backs off.
    private var isWatched = false
    private var isClosed = false

    /// Owns `socket`, which is bound.
    init(
        loop: SelectorEventLoop, socket: Socket, options: ServerOptions, origin: CallSite?,
        accepted: @escaping (StreamDriver, SocketAddress?) throws -> Void
    ) {
        self.loop = loop
        self.socket = socket
        self.accepted = accepted
        madeAt = origin
        backlog = options.backlog
        acceptConnection = { () throws(Errno) in try socket.accept() }
        localAddress = socket.localAddress
        // Unix sockets have no options of TCP.
        let isTCP = localAddress?.family != .unix
        connectionOptions = options.connectionOptions.filter { isTCP || $0.key.level != SocketOption.noDelay.level }
        super.init()
        reservedBytes = Self.neverBulk
        // Not watched yet, but closed with the loop.
        _ = loop.register(self)
        loop.claim(socket.descriptor, for: self)
    }

    func start() throws(Errno) {
        try socket.listen(backlog: backlog)
        try watch()
    }

    private func watch() throws(Errno) {
        try loop.watch(socket.descriptor, self, for: .read, .level)
        isWatched = true
    }

    /// Accepts nobody any more, until it is watched again; who connects waits in the kernel's queue.
    func stop() {
        guard isWatched else { return }
        isWatched = false
        loop.unwatch(socket.descriptor, self)
        loop.claim(socket.descriptor, for: self)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        let factory = accepted.take()
        retry?.cancel()
        loop.unwatch(socket.descriptor, self)
        loop.unregister(self)
        loop.core.pointee.lackingDescriptors.removeAll { $0 === self }
        loop.closeSocket(socket)
        // Last: what it captured is the user's, and may call the server when it is released.
        withExtendedLifetime(factory) {}
    }

    override var label: String { "a server on \(localAddress?.description ?? "an unknown address")" }

    override var origin: CallSite? { madeAt }

    override var endedBy: EndingCause { .none }

    override func drain() { close() }

    override func loopClosed() {
        isClosed = true
        let factory = accepted.take()
        retry = nil
        loop.unwatch(socket.descriptor, self)
        socket.close()
        // As in `close()`.
        withExtendedLifetime(factory) {}
    }

    override func run() -> UnownedJob? {
        readiness = []
        for _ in 0..<min(max(1, backlog), Self.mostAcceptsPerTurn) {
            if isClosed || !loop.core.pointee.budget.allowsReceive { break }
            do {
                guard let (connection, peer) = try acceptConnection() else {
                    failuresInARow = 0
                    break
                }
                failuresInARow = 0
                loop.core.pointee.budget.useForAccept()
                if !hasRoom(for: connection) { break }
                take(connection, peer)
            } catch {
                if !survives(error) { break }
            }
        }
        return nil
    }

    private func take(_ connection: Socket, _ peer: SocketAddress?) {
        do {
            // The peer may have reset the connection already: then there is nobody to serve.
            for (option, value) in connectionOptions { try connection.setOption(option, to: value) }
        } catch {
            connection.close()
            return
        }
        do {
            let driver = try loop.makeStreamDriver(connection)
            do {
                try accepted?(driver, peer)
            } catch {
                driver.closeSocket()
                throw error
            }
        } catch {
            loop.report(
                ExceptionContext(
                    message: "Error while accepting a connection from \(peer?.description ?? "a client")", error: error,
                    origin: origin))
        }
    }

    /// Whether accepting goes on after `error`.
    private func survives(_ error: Errno) -> Bool {
        switch error {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory:
            loop.core.pointee.lackingDescriptors.append(self)
            backOff(error)
            return false
        case .badFileDescriptor, .notSocket:
            backOff(error)
            return false
        default:
            // One client is gone (ECONNABORTED and its like, accept(2)); the next may be fine.
            failuresInARow += 1
            if failuresInARow < Self.mostFailuresInARow { return true }
            failuresInARow = 0
            backOff(error)
            return false
        }
    }

    /// The number of a connection's descriptor may be too high for the selector; lower ones may be free in a while.
    private func hasRoom(for connection: Socket) -> Bool {
        do {
            try loop.checkRoom(for: connection.descriptor)
            return true
        } catch {
            connection.close()
            loop.core.pointee.lackingDescriptors.append(self)
            backOff(error, reason: error.description)
            return false
        }
    }

    private func backOff(_ error: Errno) {
        backOff(IOError(error, operation: "accept on", address: localAddress), reason: "\(error)")
    }

    /// The connection stays in the kernel's queue, or the socket itself is broken: it would be reported in each iteration.
    private func backOff(_ error: any Error, reason: String) {
        stop()
        retry = loop.callLater(after: Self.retryDelay) { [self] in resume() }
        // Last: the handler may close the server.
        report(error, reason)
    }

    private func report(_ error: any Error, _ reason: String) {
        let now = loop.now
        if let lastReport, now < lastReport.advanced(by: Self.reportInterval) { return }
        lastReport = now
        let address = localAddress?.description ?? "an unknown address"
        let cause = reason.prefix(1).lowercased() + reason.dropFirst()
        let delay = Self.retryDelay.components.attoseconds / 1_000_000_000_000_000
        var context = ExceptionContext(
            message: "accept on \(address) failed: \(cause); backing off for \(delay) ms", error: error, origin: origin,
            socket: socket.descriptor)
        context.messageContainsError = true
        loop.report(context)
    }

    override func descriptorWasClosed() {
        retry?.cancel()
        resume()
    }

    private func resume() {
        guard !isClosed, !isWatched else { return }
        loop.core.pointee.lackingDescriptors.removeAll { $0 === self }
        do {
            try watch()
        } catch {
            retry = loop.callLater(after: Self.retryDelay) { [self] in resume() }
        }
    }
}

extension Listener: SocketOwner {
    var eventLoop: EventLoop { loop }

    var openSocket: Socket? {
        loop.requireOnLoop("TransportSocket")
        return isClosed ? nil : socket
    }
}
