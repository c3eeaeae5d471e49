public import AsyncIO
import AsyncIOSystem
import CAsyncIO
import Selectors
public import SystemPackage

/// The two kinds of loops, for tests that must have the same result on both.
public enum ScriptedBackend: String, Sendable, CaseIterable {
    /// A `SelectorEventLoop` on a ``ScriptedSelector``.
    case readiness
    /// A `ProactorEventLoop` on a ``ScriptedProactor``.
    case completion
    /// ``readiness``, and every connection passes a ``PassThroughFilter``.
    case filteredReadiness
    /// ``completion``, and every connection passes a ``PassThroughFilter``.
    case filteredCompletion
}

/// A loop whose connections the test scripts.
///
/// ```swift
/// @Test(arguments: ScriptedBackend.allCases)
/// func echoes(backend: ScriptedBackend) async throws {
///     try await withScriptedNetwork(backend) { network in
///         let (transport, peer) = try network.connect(Echo())
///         peer.sends("hello")
///         await network.idle()
///         #expect(peer.writtenText == "hello")
///         transport.close()
///     }
/// }
/// ```
///
/// Nothing waits for real time; see ``ScriptedPoller``.
///
/// - Thread: the loop's.
public final class ScriptedNetwork {
    public let loop: EventLoop
    public let clock = VirtualClock()
    private let poller: ScriptedPeer.Poller
    private let calls = ScriptedCalls()

    public init(_ backend: ScriptedBackend) throws {
        switch backend {
        case .readiness, .filteredReadiness:
            let selector = ScriptedSelector(clock: clock)
            selector.watchesRealDescriptors = true
            poller = .selector(selector)
            loop = try SelectorEventLoop(selector: selector, clock: clock)
            loop.replaceSystemCalls(by: calls)
        case .completion, .filteredCompletion:
            let proactor = ScriptedProactor(clock: clock)
            poller = .proactor(proactor)
            loop = try ProactorEventLoop(proactor: proactor, clock: clock)
            proactor.changed = { [calls, unowned proactor] in
                for peer in calls.peers { peer.carryOut(proactor) }
            }
        }
        switch backend {
        case .readiness, .completion: break
        case .filteredReadiness, .filteredCompletion: loop.filterConnections { PassThroughFilter() }
        }
    }

    /// Opens a connection whose protocol is `consumer`. The protocol is notified in the next iteration.
    public func connect(_ consumer: any StreamProtocol) throws -> (transport: StreamTransport, peer: ScriptedPeer) {
        let (driver, peer) = try openSocket()
        let transport = StreamTransport(loop: loop, driver: driver, consumer: consumer, peerAddress: nil)
        transport.start()
        return (transport, peer)
    }

    /// Opens a connection for a task.
    public func openStreams(
        limitBytes: Int = EventLoop.defaultLineLimitBytes
    ) throws -> (reader: StreamReader, writer: StreamWriter, peer: ScriptedPeer) {
        let (driver, peer) = try openSocket()
        let transport = StreamTransport(loop: loop, driver: driver, consumer: nil, peerAddress: nil)
        let (reader, writer) = transport.makeStreams(limitBytes: limitBytes)
        return (reader, writer, peer)
    }

    /// Returns when the loop would wait, because everything that follows from the events so far has happened. Timers
    /// are not waited for. Call it in a task of the loop.
    public func idle() async {
        await withUnsafeContinuation { continuation in
            whenIdle { continuation.resume() }
        }
    }

    /// Does what ``ScriptedPoller/whenIdle(_:)`` does.
    public func whenIdle(_ step: @escaping () -> Void) {
        switch poller {
        case .selector(let selector): selector.whenIdle(step)
        case .proactor(let proactor): proactor.whenIdle(step)
        }
    }

    /// The number of waits of the loop so far.
    public var waitCount: Int {
        switch poller {
        case .selector(let selector): selector.waits.count
        case .proactor(let proactor): proactor.waits.count
        }
    }

    /// Makes the next registration or submission fail.
    public func failsNextSubmission(with error: Errno) {
        switch poller {
        case .selector(let selector): selector.nextError = error
        case .proactor(let proactor): proactor.nextError = error
        }
    }

    private func openSocket() throws -> (StreamDriver, ScriptedPeer) {
        let (near, far) = try Socket.pair()
        let peer = ScriptedPeer(near, far: far, poller)
        switch poller {
        case .selector(let selector): selector.script(near.descriptor)
        case .proactor(let proactor): proactor.script(near.descriptor)
        }
        calls.add(peer)
        return (try loop.openStreamDriver(ByteChannel(near)), peer)
    }
}

/// The system's own calls, except on the descriptors of scripted peers.
private final class ScriptedCalls: SystemCalls {
    /// The peers of open connections, which stay active even if the test has no reference to them.
    private(set) var peers: [ScriptedPeer] = []

    func add(_ peer: ScriptedPeer) {
        peers.removeAll(where: \.wasClosed)
        peers.append(peer)
    }

    /// Returns the peer of a socket. The number may be that of a later connection, whose peer comes last.
    private func peer(of socket: Socket) -> ScriptedPeer? {
        peers.last { $0.descriptor == socket.descriptor && !$0.wasClosed }
    }

    func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        peer(of: socket)?.receive(into: buffer) ?? socket.receive(into: buffer)
    }

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        peer(of: socket)?.send(bytes) ?? socket.send(bytes)
    }

    func send(_ socket: Socket, _ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        peer(of: socket)?.send(pieces) ?? socket.send(pieces)
    }
}

/// Calls a test's `body` on a thread of its own, with a scripted loop that `body` runs itself. See `withLoopThread`.
public func withScriptedNetworkThread<Value: Sendable>(
    _ backend: ScriptedBackend, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @escaping (ScriptedNetwork) throws -> Value
) async throws -> Value {
    let place = NetworkPlace()
    let makeLoop: @Sendable () throws -> EventLoop = { try place.makeLoop(backend) }
    return try await withLoopThread(makeLoop: makeLoop, options) { _ in try body(place.take()) }
}

/// Runs a test's `body` as a task of a scripted loop, and checks that it leaves nothing behind. See `withLoop`.
public func withScriptedNetwork<Value: Sendable>(
    _ backend: ScriptedBackend, _ options: LoopTestOptions = LoopTestOptions(),
    _ body: sending @concurrent @escaping (ScriptedNetwork) async throws -> Value
) async throws -> Value {
    let place = NetworkPlace()
    let makeLoop = { try place.makeLoop(backend) }
    return try await withLoop(makeLoop: makeLoop, options) { _ in try await body(place.take()) }
}

/// Passes the network from where its loop is created to the body.
private final class NetworkPlace: @unchecked Sendable {
    private var network: ScriptedNetwork?

    func makeLoop(_ backend: ScriptedBackend) throws -> EventLoop {
        let network = try ScriptedNetwork(backend)
        self.network = network
        return network.loop
    }

    func take() -> ScriptedNetwork {
        // Set by `makeLoop`, which is called first.
        network.take()!
    }
}
