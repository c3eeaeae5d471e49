import AsyncIOTesting
import Proactors
import SystemPackage
import Testing

@testable import AsyncIO

/// Every kind of operation that a loop submits, and every error that it may complete with. On selectors,
/// `scripts/faults` injects the same errors into the system calls.
struct CompletionFaultTests {
    /// What the fault costs.
    enum Effect: Sendable {
        /// Nothing, and nobody notices it.
        case nothing
        /// The server reports it, backs off, and then serves the client.
        case backOff
        /// That connection, which ends with the error.
        case connection
        /// That connection, or nothing: it depends on which operation of the kind it is.
        case atMostConnection
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        let call: FaultyProactor.Call
        let outcome: FaultyProactor.Outcome
        let effect: Effect

        var testDescription: String { "\(call) \(outcome): \(effect)" }
    }

    private static let shortage: [Errno] = [.noMemory, .noBufferSpace]
    private static let again: [Errno] = [.interrupted, .resourceTemporarilyUnavailable]
    private static let lost: [Errno] = [.connectionReset, .timedOut]

    private static func faults(
        _ call: FaultyProactor.Call, _ effect: Effect, _ errors: [Errno],
        _ outcomes: [@Sendable (Errno) -> FaultyProactor.Outcome] = [{ .fails($0) }]
    ) -> [Fault] {
        errors.flatMap { error in outcomes.map { Fault(call: call, outcome: $0(error), effect: effect) } }
    }

    private static let throughout: [@Sendable (Errno) -> FaultyProactor.Outcome] = [{ .fails($0) }, { .endsLater($0) }]

    private static let table: [Fault] =
        faults(
            .operation(.accept), .nothing,
            again + [.connectionAbort, .protocolError, .networkDown, .notPermitted, .canceled], throughout)
        + faults(.operation(.accept), .backOff, shortage + [.tooManyOpenFiles, .tooManyOpenFilesInSystem], throughout)
        // ENOBUFS means that the proactor had no buffer of the pool.
        + faults(.operation(.receiveIntoPool), .nothing, again + [.noBufferSpace, .canceled], throughout)
        + faults(.operation(.receiveIntoPool), .connection, lost + [.noMemory], throughout)
        + faults(.operation(.receiveIntoPool), .connection, shortage, [{ .isRefused($0) }])
        + faults(.operation(.send), .nothing, again)
        + faults(.operation(.send), .connection, lost + shortage + [.brokenPipe], [{ .fails($0) }, { .isRefused($0) }])
        + faults(.operation(.poll), .nothing, again + shortage + [.canceled])
        + faults(.operation(.poll), .atMostConnection, shortage, [{ .isRefused($0) }])
        + faults(.immediateSend, .nothing, [.resourceTemporarilyUnavailable])
        + faults(.immediateSend, .connection, lost + shortage + [.brokenPipe])
        + faults(.sendAtOnce, .nothing, [.resourceTemporarilyUnavailable])
        + faults(.sendAtOnce, .connection, lost + shortage + [.brokenPipe])
        + faults(.receiveAtOnce, .nothing, [.resourceTemporarilyUnavailable])
        + faults(.receiveAtOnce, .connection, lost + shortage)
        + [.operation(.send), .immediateSend, .sendAtOnce].flatMap { call in
            [1, 63].map { Fault(call: call, outcome: .moves($0), effect: .nothing) }
        }

    enum Style: CaseIterable, Sendable { case callbacks, streams }

    // covers: F66
    @Test(arguments: FaultyLoop.Base.available, table)
    func faultCostsAtMostOneConnection(base: FaultyLoop.Base, fault: Fault) async throws {
        // A loop may need only one accept operation.
        let numbers = fault.effect == .backOff ? 1 : rounds(debug: 1, full: 3)
        let options = LoopTestOptions(unhandledErrors: fault.effect == .backOff ? 1 : 0)
        let makeLoop: @Sendable () throws -> FaultyLoop = { try FaultyLoop(base) }
        for style in Style.allCases {
            for number in 1...numbers {
                try await withLoop(makeLoop: makeLoop, options) { loop in
                    try await check(fault, number, style, on: loop)
                }
            }
        }
    }

    private func check(_ fault: Fault, _ number: Int, _ style: Style, on loop: FaultyLoop) async throws {
        var reports: [String] = []
        loop.setExceptionHandler { _, context in reports.append(context.message) }
        loop.faults.inject(fault.outcome, into: fault.call, number: number)
        let losses = Losses()
        let server = try await loop.start(style, losses)
        var results: [FaultClient.Result] = []
        for byteCount in [100_000, 2_000] {
            results.append(
                try await FaultClient.converse(with: server.address, byteCount: byteCount, on: loop))
        }
        if loop.faults.hasHappened {
            let next = try await FaultClient.converse(with: server.address, byteCount: 2_000, on: loop)
            #expect(next == .exact)
        }
        let isHit = loop.faults.hasHappened
        await loop.until { server.connectionCount == 0 }
        server.close()

        let ended = results.filter { $0 == .ended }.count
        #expect(results.allSatisfy { $0 == .exact || $0 == .ended }, "\(results)")
        switch fault.effect {
        case .nothing:
            #expect(ended == 0 && losses.errors.isEmpty && reports.isEmpty, "\(losses.errors) \(reports)")
        case .backOff:
            #expect(ended == 0 && losses.errors.isEmpty)
            #expect(reports.count == (isHit ? 1 : 0), "\(reports)")
        case .connection:
            // All bytes may have come back before.
            #expect(ended <= (isHit ? 1 : 0) && reports.isEmpty)
            #expect(losses.errors == (isHit ? [fault.error] : []))
        case .atMostConnection:
            #expect(reports.isEmpty, "\(reports)")
            // All bytes may have come back before.
            #expect(ended <= losses.errors.count && losses.errors.count <= 1)
            #expect(losses.errors.allSatisfy { $0 == fault.error }, "\(losses.errors)")
        }
    }
}

extension CompletionFaultTests {
    private static let refusals: [Errno] =
        shortage + [.connectionRefused, .timedOut, .networkUnreachable, .addressNotAvailable, .tooManyOpenFiles]

    // covers: F66
    @Test(arguments: FaultyLoop.Base.available, again + [.nowInProgress, .alreadyInProcess] + refusals)
    func connectContinuesOrThrowsTheError(base: FaultyLoop.Base, error: Errno) async throws {
        let makeLoop: @Sendable () throws -> FaultyLoop = { try FaultyLoop(base) }
        try await withLoop(makeLoop: makeLoop) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            loop.faults.inject(.fails(error), into: .operation(.connect), number: 1)
            let mayContinue = [.interrupted, .nowInProgress, .alreadyInProcess].contains(error)
            do {
                let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
                #expect(mayContinue)
                try await writer.write("x")
                #expect(try await reader.readExactly(1) == Array("x".utf8))
                writer.close()
            } catch {
                #expect(!mayContinue, "\(error)")
            }
            #expect(loop.faults.hasHappened)
            let (_, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            writer.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    /// The kernel has closed the descriptor, or has not begun to.
    // covers: F66
    @Test(
        .expectsReleasedFiles, arguments: FaultyLoop.Base.available,
        [Errno.interrupted, .ioError, .canceled, .invalidArgument, .noMemory])
    func failedCloseClosesTheDescriptorOnce(base: FaultyLoop.Base, error: Errno) async throws {
        let makeLoop: @Sendable () throws -> FaultyLoop = { try FaultyLoop(base) }
        for outcome in [FaultyProactor.Outcome.fails(error), .isRefused(error)] {
            try await withLoop(makeLoop: makeLoop) { loop in
                let (near, far) = try Socket.pair()
                let file = OpenFile(near.descriptor)
                let driver = try loop.openStreamDriver(ByteChannel(near))
                driver.startReading()
                // Then a receive is in flight, and the close comes behind its cancellation, because a driver that is
                // closed without being detached before cannot have its result yet.
                for _ in 0..<3 { await loop.yield() }
                loop.faults.inject(outcome, into: .operation(.close), number: 1)
                driver.close()
                await loop.until { file.wasClosed }
                #expect(loop.faults.hasHappened)
                var byte: UInt8 = 0
                // The receive holds the file until it has been cancelled.
                await loop.until { withUnsafeMutableBytes(of: &byte) { far.receive(into: $0) } == .bytes(0) }
                far.close()
            }
        }
    }
}

extension CompletionFaultTests.Fault {
    var error: Errno? {
        switch outcome {
        case .fails(let error), .isRefused(let error), .endsLater(let error): error
        case .moves: nil
        }
    }
}

/// The errors that ended connections.
private final class Losses {
    private(set) var errors: [Errno?] = []

    func add(_ error: any Error) { errors.append((error as? IOError)?.errno) }
}

/// Echoes in the push style.
private final class LossyEcho: StreamProtocol {
    private let losses: Losses
    private var transport: StreamTransport?

    init(_ losses: Losses) { self.losses = losses }

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }
    func dataReceived(_ data: RawSpan) { transport?.write(data) }
    func pauseWriting() { transport?.pauseReading() }
    func resumeWriting() { transport?.resumeReading() }

    func connectionLost(_ error: (any Error)?) {
        if let error { losses.add(error) }
        transport = nil
    }
}

extension EventLoop {
    fileprivate func start(_ style: CompletionFaultTests.Style, _ losses: Losses) async throws -> Server {
        // Small, so that sends have to wait.
        let options = ServerOptions(socketOptions: [.noDelay: 1, .sendBufferBytes: 8 * 1024])
        switch style {
        case .callbacks:
            return try await createServer(host: "127.0.0.1", port: 0, options: options) { LossyEcho(losses) }
        case .streams:
            return try await startServer(host: "127.0.0.1", port: 0, options: options) { reader, writer in
                do {
                    while let chunk = try await reader.readChunk() { try await writer.write(chunk) }
                } catch {
                    losses.add(error)
                    writer.reset()
                }
            }
        }
    }
}
