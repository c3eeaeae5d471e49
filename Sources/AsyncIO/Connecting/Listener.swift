import AsyncIOSystem
import Selectors
import SystemPackage

/// One listening socket of a server.
final class Listener: EventSource {
    /// How long to rest when descriptors or memory ran out, and how often to say so. asyncio rests a second, but then it
    /// also takes that long to serve those who wait when descriptors are free again.
    private static let retryDelay = Duration.milliseconds(100)
    private static let reportInterval = Duration.seconds(1)

    /// So that a flood of connections leaves time for those that are open.
    private static let mostAcceptsPerTurn = 64

    let localAddress: SocketAddress?
    private unowned let loop: SelectorEventLoop
    private let socket: Socket
    private let options: ServerOptions
    /// Holds the server and, through it, this listener: let go at the end.
    private var accepted: ((StreamDriver, SocketAddress?) throws -> Void)?
    private var retry: TimerHandle?
    private var lastReport: LoopInstant?
    private var isClosed = false

    /// Owns `socket`, which listens already.
    init(
        loop: SelectorEventLoop, socket: Socket, options: ServerOptions,
        accepted: @escaping (StreamDriver, SocketAddress?) throws -> Void
    ) {
        self.loop = loop
        self.socket = socket
        self.options = options
        self.accepted = accepted
        localAddress = socket.localAddress
    }

    func start() throws(Errno) {
        _ = loop.register(self)
        do {
            try loop.watch(socket.descriptor, self, for: .read, .level)
        } catch {
            loop.unregister(self)
            throw error
        }
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        accepted = nil
        retry?.cancel()
        loop.unwatch(socket.descriptor, self)
        loop.unregister(self)
        socket.close()
    }

    override func drain() { close() }

    override func loopClosed() {
        isClosed = true
        accepted = nil
        retry = nil
        loop.unwatch(socket.descriptor, self)
        socket.close()
    }

    override func run() -> UnownedJob? {
        readiness = []
        for _ in 0..<min(max(1, options.backlog), Self.mostAcceptsPerTurn) {
            if isClosed { break }
            do {
                guard let (connection, peer) = try socket.accept() else { break }
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
            for (option, value) in options.connectionOptions { try connection.setOption(option, to: value) }
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
            loop.callExceptionHandler(
                ExceptionContext(
                    message: "Error while accepting a connection from \(peer?.description ?? "a client")", error: error)
            )
        }
    }

    /// Whether accepting goes on after `error`.
    private func survives(_ error: Errno) -> Bool {
        switch error {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory, .invalidArgument,
            .badFileDescriptor, .notSocket:
            // The connection stays in the kernel's queue, or the socket itself is broken: it would be told again and
            // again. Rest for a while.
            report(error)
            loop.unwatch(socket.descriptor, self)
            retry = loop.callLater(after: Self.retryDelay) { [self] in resume() }
            return false
        default:
            // One client is gone (ECONNABORTED and its like, accept(2)); the next may be fine.
            return true
        }
    }

    private func report(_ error: Errno) {
        let now = loop.now
        if let lastReport, now < lastReport.advanced(by: Self.reportInterval) { return }
        lastReport = now
        loop.callExceptionHandler(
            ExceptionContext(
                message: "Accepting connections rests for a moment",
                error: IOError(error, operation: "accept on", address: localAddress)))
    }

    private func resume() {
        guard !isClosed else { return }
        do {
            try loop.watch(socket.descriptor, self, for: .read, .level)
        } catch {
            retry = loop.callLater(after: Self.retryDelay) { [self] in resume() }
        }
    }
}
