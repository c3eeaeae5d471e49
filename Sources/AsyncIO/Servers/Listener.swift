import AsyncIOSystem
import Selectors
import SystemPackage

/// A listening socket of a server: it accepts clients, and backs off when accepting fails.
final class Listener {
    /// How long to back off when descriptors or memory ran out, unless the loop closes a descriptor before that.
    /// asyncio backs off for a second, so clients wait for a second even if descriptors are free again earlier.
    private static let retryDelay = Duration.milliseconds(100)
    private static let reportInterval = Duration.seconds(1)

    /// The number of consecutive errors after which the socket, rather than a client, is considered broken.
    private static let mostFailuresInARow = 64

    /// The limit that leaves time for open connections during a flood of new ones.
    private static let mostClientsPerIteration = 64

    /// The limit of filters without one. asyncio: `ssl_handshake_timeout`.
    private static let establishmentTimeout = Duration.seconds(60)

    let localAddress: SocketAddress?
    var origin: CallSite? { connectionOrigin.site }
    let driver: AcceptDriver
    private unowned let loop: EventLoop
    private let options: ServerOptions
    private let socketOptions: [SocketOption: Int]
    /// The file to remove.
    private let file: SocketFile?
    /// The connections whose filters are not established.
    private var establishing: [ObjectIdentifier: FilterStreamDriver] = [:]
    private var failuresInARow = 0
    /// Retains the server and, through it, this listener.
    private var accepted: ((StreamDriver, SocketAddress?) throws -> Void)?
    private var retry: TimerHandle?
    private var lastReport: LoopInstant?
    private let connectionOrigin: ConnectionOrigin
    /// Whether the server has as many connections as it may have.
    var isFull = false {
        didSet {
            if isFull { driver.stop() } else { resume() }
        }
    }
    private var isClosed: Bool { accepted == nil }

    init(
        loop: EventLoop, socket: BoundSocket, options: ServerOptions, connectionOrigin: ConnectionOrigin,
        accepted: @escaping (StreamDriver, SocketAddress?) throws -> Void
    ) throws(Errno) {
        localAddress = try loop.core.localAddress(socket.socket)
        self.loop = loop
        self.accepted = accepted
        self.connectionOrigin = connectionOrigin
        self.options = options
        file = socket.file
        socketOptions = options.socketOptions.applicable(to: localAddress?.family)
        driver = loop.makeAcceptDriver(
            socket.socket, clientsPerIteration: min(max(1, options.backlog), Self.mostClientsPerIteration))
        driver.delegate = self
    }

    func start() throws(Errno) {
        try driver.socket.listen(backlog: options.backlog)
        try driver.start()
    }

    private func take(_ connection: Socket, _ peer: SocketAddress?) {
        do {
            for (option, value) in socketOptions { try connection.setOption(option, to: value) }
        } catch {
            connection.close()
            // Darwin returns it if the client has already reset the connection, which needs no report.
            if error == .invalidArgument { return }
            return reportFailure(IOError(error, operation: "set an option of the connection from", address: peer), peer)
        }
        do {
            let driver = try loop.openStreamDriver(ByteChannel(connection, .socket(localAddress?.family)))
            guard let makeFilter = options.makeFilter else { return serve(driver, peer) }
            establish(try loop.filter(driver, makeFilter), peer)
        } catch {
            reportFailure(error, peer)
        }
    }

    /// Waits until the filter of a connection is established, in a bounded time: the server does not know of it yet.
    private func establish(_ driver: FilterStreamDriver, _ peer: SocketAddress?) {
        establishing[ObjectIdentifier(driver)] = driver
        connectionOrigin.takePlace()
        driver.start(timeout: Self.establishmentTimeout) { [unowned self, unowned driver, connectionOrigin] result in
            establishing[ObjectIdentifier(driver)] = nil
            // Last, because a connection that is served takes a place itself.
            defer { connectionOrigin.leavePlace() }
            switch result {
            case .success: serve(driver, peer)
            case .failure(let error):
                driver.close()
                // Clients cause such errors: scanners, expired certificates.
                if !isClosed, loop.core.pointee.debug.isOn { reportFailure(error, peer) }
            }
        }
    }

    func abortEstablishing() { for driver in Array(establishing.values) { driver.close() } }

    private func serve(_ driver: StreamDriver, _ peer: SocketAddress?) {
        guard let accepted else { return driver.close() }
        do {
            try accepted(driver, peer)
        } catch {
            driver.close()
            reportFailure(error, peer)
        }
    }

    private func reportFailure(_ error: any Error, _ peer: SocketAddress?) {
        let client = peer?.description ?? "a client"
        loop.report(
            ExceptionContext(
                message: "the connection from \(client) was closed, because setting it up failed", error: error,
                origin: origin))
    }

    // MARK: Backing off

    /// Stops accepting for a while, because the error would be reported in each iteration otherwise.
    private func backOff(_ error: any Error, reason: String) {
        driver.stop()
        retry = loop.callLater(after: Self.retryDelay) { [self] in resume() }
        // Reported last, because the handler may close the server.
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
            socket: driver.socket.descriptor)
        context.messageContainsError = true
        loop.report(context)
    }

    private func resume() {
        guard !isClosed, !isFull, !driver.isStarted else { return }
        retry?.cancel()
        loop.core.pointee.lackingDescriptors.removeAll { $0 === driver }
        do {
            try driver.start()
        } catch {
            retry = loop.callLater(after: Self.retryDelay) { [self] in resume() }
        }
    }
}

extension Listener: AcceptDriverDelegate {
    func accepted(_ connection: Socket, from peer: SocketAddress?) -> Bool {
        failuresInARow = 0
        do {
            try loop.checkRoom(for: connection.descriptor)
        } catch {
            // The number of the descriptor is too high for the selector. Lower numbers may be free later.
            connection.close()
            loop.core.pointee.lackingDescriptors.append(driver)
            backOff(error, reason: error.description)
            return false
        }
        take(connection, peer)
        return driver.isStarted
    }

    func acceptedAll() { failuresInARow = 0 }

    func acceptFailed(_ error: Errno) -> Bool {
        switch error {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory:
            loop.core.pointee.lackingDescriptors.append(driver)
        case .badFileDescriptor, .notSocket: break
        default:
            // One client has disconnected (ECONNABORTED and similar, accept(2)). Accepting the next one may succeed.
            failuresInARow += 1
            if failuresInARow < Self.mostFailuresInARow { return true }
            failuresInARow = 0
        }
        backOff(IOError(error, operation: "accept on", address: localAddress), reason: "\(error)")
        return false
    }

    func descriptorWasClosed() { resume() }

    func close() {
        // Released last, because what it captured belongs to the user, and may call the server when it is released.
        guard let factory = accepted.take() else { return }
        retry?.cancel()
        loop.core.pointee.lackingDescriptors.removeAll { $0 === driver }
        abortEstablishing()
        file?.remove()
        driver.close()
        withExtendedLifetime(factory) {}
    }
}

extension Listener: SocketOwner {
    var eventLoop: EventLoop { loop }

    var openSocket: Socket? {
        loop.requireOnLoop("TransportSocket")
        return isClosed ? nil : driver.socket
    }
}
