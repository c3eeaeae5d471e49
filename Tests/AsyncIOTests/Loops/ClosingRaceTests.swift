import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

/// Connections and servers that are closed while bytes and clients arrive: every descriptor is closed, nobody waits.
struct ClosingRaceTests {
    private enum Ending: CaseIterable { case close, abort, cancelledRead, cancelledWrite, peerFirst }

    // covers: 139, 330, F25
    @Test(arguments: TestLoop.all)
    func connectionThatEndsWhileBytesArriveClosesItsDescriptor(kind: TestLoop) async throws {
        let rounds = rounds(debug: 200, full: 50_000)
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(30 + rounds / 200))) { loop in
            var generator = SeededGenerator(seed: 11)
            let bytes = pattern(30_000)
            for _ in 0..<rounds {
                let (near, far) = try Socket.pair()
                let (reader, writer) = try await loop.openConnection(to: .socket(near))
                let ending = Ending.allCases.randomElement(using: &generator)!
                let reading = loop.createTask {
                    var buffer = [UInt8](repeating: 0, count: 1_000)
                    _ = try? await reader.read(into: &buffer)
                }
                let writing = loop.createTask { try? await writer.write(bytes) }
                for _ in 0..<Int.random(in: 0..<3, using: &generator) { await loop.yield() }
                if Bool.random(using: &generator) { _ = bytes.withUnsafeBytes { far.send($0) } }
                if Bool.random(using: &generator) { await loop.yield() }
                switch ending {
                case .close, .peerFirst: break
                case .abort: writer.abort()
                case .cancelledRead: reading.cancel()
                case .cancelledWrite: writing.cancel()
                }
                if ending == .peerFirst {
                    far.close()
                } else {
                    if Bool.random(using: &generator) { _ = bytes.withUnsafeBytes { far.send($0) } }
                    writer.close()
                }
                if ending == .cancelledRead || ending == .peerFirst { writer.abort() }
                await reading.value
                await writing.value
                if ending == .peerFirst { continue }
                try await drain(far, on: loop)
                far.close()
            }
        }
    }

    /// Reads until EOF or a reset, which proves that the peer's descriptor was closed.
    private func drain(_ socket: Socket, on loop: EventLoop) async throws {
        while true {
            do {
                if try await loop.sock.recv(socket, maxBytes: 1 << 16).isEmpty { return }
            } catch let error as IOError where error.errno == .connectionReset {
                return
            }
        }
    }

    // covers: 330, 331, F25
    @Test(arguments: TestLoop.all)
    func clientsOfAServerThatIsClosedMeanwhileAreServedOrRejected(kind: TestLoop) async throws {
        let rounds = rounds(debug: 30, full: 5_000)
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(30 + rounds / 20))) { loop in
            var generator = SeededGenerator(seed: 12)
            for _ in 0..<rounds {
                let (listener, address) = try SocketPlace.unix.listen(backlog: 64)
                let server = try await loop.createServer(on: .socket(listener)) { EchoProtocol() }
                var clients: [Socket] = []
                for _ in 0..<16 {
                    let client = try Socket.stream(.unix)
                    _ = try client.connect(to: address)
                    sendByte(client)
                    clients.append(client)
                    if Int.random(in: 0..<4, using: &generator) == 0 { await loop.yield() }
                    if Int.random(in: 0..<16, using: &generator) == 0 { break }
                }
                server.close()
                var served = 0
                for client in clients {
                    do {
                        served += try await loop.sock.recv(client, maxBytes: 10).count
                    } catch let error as IOError where error.errno == .connectionReset {
                    }
                    try loop.sock.close(client)
                }
                #expect(served == server.acceptedCount)
                await loop.until { server.connectionCount == 0 }
                address.unlinkFile()
            }
        }
    }
}
