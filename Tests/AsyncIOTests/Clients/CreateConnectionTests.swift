import AsyncIOTesting
import Synchronization
import SystemPackage
import Testing

@testable import AsyncIO

struct CreateConnectionTests {
    // covers: 125, 159
    @Test(arguments: TestLoop.allAndFiltered)
    func errorOfARefusedConnectionNamesTheAddress(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("127.0.0.1")
            defer { kept.close() }
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(host: "127.0.0.1", port: kept.number)
            }
            #expect(error?.attempts.map(\.errno) == [.connectionRefused])
            #expect(error?.description.hasPrefix("cannot connect to 127.0.0.1:\(kept.number): ") == true)
            // From an address that no other test uses, so that a leaked socket can be found.
            let index = try #require(TestLoop.allAndFiltered.firstIndex(of: kind))
            let host = "127.0.1.\(index + 1)"
            let options = ConnectionOptions(localAddress: SocketAddress(literal: host, port: 0))
            await #expect(throws: ConnectError.self) {
                _ = try await loop.createConnection(host: "127.0.0.1", port: kept.number, options: options) {
                    Recorder()
                }
            }
            #expect(try openSockets { $0.host == host } == 0)
        }
    }

    /// The server accepts the connection and resets it before the loop checks whether it is established.
    @Test(arguments: TestLoop.allAndFiltered)
    func connectionResetAtOnceIsNotReportedAsRefused(kind: TestLoop) async throws {
        let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
        let listener = try Socket.stream(for: any)
        defer { listener.close() }
        try listener.bind(to: any)
        try listener.listen(backlog: 1)
        let address = try #require(listener.localAddress)
        try await withLoop(kind) { loop in
            loop.replaceSystemCalls(by: ResettingCalls(listener))
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(host: "127.0.0.1", port: address.port!)
            }
            #expect(
                error?.description
                    == "cannot use the new connection to \(address): \(Errno.connectionReset)")
        }
    }

    /// Connects, but the server has reset the connection before the loop learns that it is established.
    private final class ResettingCalls: SystemCalls {
        private let listener: Socket

        init(_ listener: Socket) {
            self.listener = listener
        }

        func connect(_ socket: Socket, to address: SocketAddress) throws(Errno) -> Bool {
            _ = try socket.connect(to: address)
            // The kernel may deliver both the connection and its reset later.
            waitUntilReadable(listener.descriptor)
            if let (accepted, _) = try listener.accept() {
                accepted.resetOnClose()
                accepted.close()
                waitUntilReadable(socket.descriptor)
            }
            return false
        }
    }

    // covers: 138
    @Test(arguments: TestLoop.allAndFiltered)
    func createConnectionReturnsAfterConnectionMade(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let (transport, recorder) = try await loop.createConnection(host: "127.0.0.1", port: server.port) {
                Recorder()
            }
            #expect(recorder.events == [.made])
            #expect(recorder.transport === transport)
            transport.write("hello")
            await loop.until { recorder.received.count == 5 }
            transport.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: F19
    @Test(arguments: TestLoop.allAndFiltered)
    func failedFactoryClosesTheSocket(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            await #expect(throws: Recorder.ExampleError.self) {
                _ = try await loop.createConnection(host: "127.0.0.1", port: server.port) { () throws -> Recorder in
                    throw Recorder.ExampleError()
                }
            }
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            #expect(try openSockets(at: server.address) == 1)
            server.close()
        }
    }

    /// Returns a resolver that resolves any name to these addresses.
    private static func resolver(_ hosts: [String]) -> SystemResolver {
        SystemResolver { _, port in .success(hosts.map { SocketAddress(literal: $0, port: port)! }) }
    }

    // covers: 159
    @Test(arguments: TestLoop.allAndFiltered)
    func addressesAreTriedInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort("127.0.0.1", "127.0.0.2", "127.0.0.3")
            defer { kept.close() }
            let port = kept.number
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.connect(
                    to: .host("name.example", port: port), by: Self.resolver(["127.0.0.1", "127.0.0.3", "127.0.0.2"]))
            }
            #expect(error?.attempts.map(\.address?.host) == ["127.0.0.1", "127.0.0.3", "127.0.0.2"])
            #expect(error?.attempts.allSatisfy { $0.errno == .connectionRefused } == true)
            #expect(
                error?.description.hasPrefix("cannot connect to name.example:\(port): tried 127.0.0.1:\(port)") == true)

            let server = try await loop.createServer(host: "127.0.0.3", port: port) { EchoProtocol() }
            let (driver, peer) = try await loop.connect(
                to: .host("name.example", port: port),
                by: Self.resolver(["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]))
            #expect(peer?.host == "127.0.0.3")
            driver.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
            // The socket that keeps the port.
            #expect(try openSockets(at: server.address) == 1)
        }
    }

    // covers: 161
    @Test(arguments: TestLoop.allAndFiltered)
    func localAddressCanBeChosen(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let local = try #require(SocketAddress(literal: "127.0.0.5", port: 0))
            let options = ConnectionOptions(localAddress: local)
            let (transport, _) = try await loop.createConnection(host: "127.0.0.1", port: server.port, options: options)
            {
                Recorder()
            }
            #expect(transport.localAddress?.host == "127.0.0.5")

            // Another connection to the same server has this address.
            let taken = ConnectionOptions(localAddress: transport.localAddress)
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.createConnection(host: "127.0.0.1", port: server.port, options: taken) { Recorder() }
            }
            #expect(error?.attempts.map(\.errno) == [.addressInUse])
            #expect(error?.description.contains("cannot connect from \(transport.localAddress!) to") == true)

            // Addresses of the other family cannot be reached from this one.
            let (driver, peer) = try await loop.connect(
                to: .host("name.example", port: server.port), options: options, by: Self.resolver(["::1", "127.0.0.1"]))
            #expect(peer?.host == "127.0.0.1" && driver.channel.localAddress?.host == "127.0.0.5")
            driver.close()
            let other = await #expect(throws: ConnectError.self) {
                _ = try await loop.connect(to: .host("::1", port: server.port), options: options)
            }
            #expect(other?.attempts.map(\.errno) == [.addressFamilyNotSupported])

            transport.close()
            await loop.until { server.acceptedCount == 2 && server.connectionCount == 0 }
            #expect(try openSockets(at: server.address) == 1)
            server.close()
        }
    }

    // covers: 162
    @Test(arguments: TestLoop.allAndFiltered)
    func emptyHostIsRejected(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            #expect(
                await asyncCode { _ = try await loop.createConnection(host: "", port: 1) { Recorder() } }
                    == .invalidArgument)
        }
    }

    /// A listener whose queue is full does not answer.
    // covers: 163, 164, 181
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledConnectLeavesNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let full = try FullListener()
            defer { full.close() }
            let port = try #require(full.address.port)
            let connecting = loop.createTask { _ = try await loop.openConnection(host: "127.0.0.1", port: port) }
            await loop.until { loop.statistics.waitingTasks > 0 }
            await loop.yield()
            #expect(loop.statistics.waitingTasks == 1)
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await connecting.value }
            #expect(loop.statistics.sources == 0)

            let error = await #expect(throws: EventLoopError.self) {
                try await withTimeout(.milliseconds(10)) {
                    _ = try await loop.openConnection(host: "127.0.0.1", port: port)
                }
            }
            #expect(error?.code == .timedOut)
            #expect(loop.statistics.sources == 0)
        }
    }

    /// A descriptor that was closed twice would belong to another thread by then.
    // covers: 163, F21
    @Test(arguments: TestLoop.allAndFiltered)
    func cancelledConnectsCloseNoOtherDescriptors(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let full = try FullListener()
            defer { full.close() }
            let port = try #require(full.address.port)
            let opener = DescriptorOpener()
            let thread = OtherThread { opener.work() }
            for round in 0..<200 {
                let connecting = loop.createTask { _ = try await loop.openConnection(host: "127.0.0.1", port: port) }
                if round.isMultiple(of: 2) { await loop.yield() }
                connecting.cancel()
                _ = await connecting.result
            }
            opener.isDone.store(true, ordering: .relaxed)
            thread.join()
            #expect(opener.damages.load(ordering: .relaxed) == 0)
            #expect(loop.statistics.sources == 0)
        }
    }

    /// Opens and closes descriptors, and detects whether other code closes them.
    private final class DescriptorOpener: Sendable {
        let isDone = Atomic(false)
        let damages = Atomic(0)

        func work() {
            while !isDone.load(ordering: .relaxed) {
                do {
                    let (reading, writing) = try FileDescriptor.pipe()
                    try writing.writeAll([7])
                    try writing.close()
                    var bytes: [UInt8] = [0, 0]
                    let count = try bytes.withUnsafeMutableBytes { try reading.read(into: $0) }
                    if count != 1 || bytes[0] != 7 { damages.add(1, ordering: .relaxed) }
                    try reading.close()
                } catch {
                    damages.add(1, ordering: .relaxed)
                }
            }
        }
    }

    // covers: 104
    @Test(arguments: TestLoop.allAndFiltered)
    func factoriesAreNotCalledOnOtherThreads(kind: TestLoop) async throws {
        // The thread pool is busy with other tests.
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(60))) { loop in
            let codes = await Task.detached {
                var codes: [EventLoopError.Code?] = []
                do { _ = try await loop.createServer(port: 0) { EchoProtocol() } } catch {
                    codes.append((error as? EventLoopError)?.code)
                }
                do { _ = try await loop.createConnection(host: "::1", port: 1) { EchoProtocol() } } catch {
                    codes.append((error as? EventLoopError)?.code)
                }
                return codes
            }.value
            #expect(codes == [.wrongThread, .wrongThread])
        }
    }
}
