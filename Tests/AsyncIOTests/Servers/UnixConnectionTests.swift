import AsyncIO
import AsyncIOTesting
import SystemPackage
import Testing

/// How connections over unix sockets end, and which sockets cannot have any.
struct UnixConnectionTests {
    /// The kernel discards neither the bytes nor the EOF when the peer has closed both directions.
    // covers: 180
    @Test(arguments: TestLoop.allAndFiltered, [false, true])
    func peerThatClosesLosesNothingAndTheLoopDoesNotSpin(kind: TestLoop, resets: Bool) async throws {
        try await withVirtualLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (reader, writer) = try await loop.openConnection(to: .socket(near))
            let message = pattern(100_000)
            let sent = message.withUnsafeBytes { far.send($0) }
            guard case .bytes(let count) = sent else { throw Errno.noBufferSpace }
            if resets { far.resetOnClose() }
            far.close()
            let ticks = loop.statistics.ticks
            try await loop.sleep(for: .seconds(3_600))
            #expect(loop.statistics.ticks - ticks < 20)
            #expect(try await reader.readToEnd() == Array(message.prefix(count)))
            try await loop.sleep(for: .seconds(3_600))
            #expect(loop.statistics.ticks - ticks < 60)
            writer.close()
            try await writer.waitClosed()
        }
    }

    // covers: 180
    @Test(arguments: TestLoop.allAndFiltered)
    func writerNoticesThatItsPeerHasClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (reader, writer) = try await loop.openConnection(to: .socket(near))
            far.close()
            let error = await #expect(throws: (any Error).self) { try await writer.writeUntilItFails() }
            #expect(error?.isConnectionClosed == true)
            withExtendedLifetime(reader) { writer.close() }
        }
    }

    // covers: 179
    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func socketOfAnotherKindIsRefused(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let address = SocketAddress(unixPath: directory.file())!
            let datagram = try Socket.datagram(.unix)
            try datagram.bind(to: address)

            // A stream cannot connect to a socket for datagrams.
            let refusal = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(to: .unix(directory.file()))
            }
            #expect(refusal?.attempts.map(\.errno) == [.protocolWrongTypeForSocket])

            // An internet socket cannot connect to a path.
            let inet = try Socket.stream(.ipv4)
            let error = await #expect(throws: IOError.self) { try await loop.sock.connect(inet, to: address) }
            #expect(error?.address == address)
            inet.close()
            let local = ConnectionOptions(localAddress: SocketAddress(literal: "127.0.0.1", port: 0))
            let mismatch = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(to: .unix(directory.file()), options: local)
            }
            #expect(mismatch?.attempts.map(\.errno) == [.addressFamilyNotSupported])

            // A given socket for datagrams is neither a client nor a server, and is closed.
            let file = OpenFile(datagram.descriptor)
            #expect(
                await asyncCode { _ = try await loop.createServer(on: .socket(datagram)) { EchoProtocol() } }
                    == .invalidArgument)
            #expect(file.wasClosed)
            let (near, far) = try Socket.pair(.datagram)
            let nearFile = OpenFile(near.descriptor)
            #expect(await asyncCode { _ = try await loop.openConnection(to: .socket(near)) } == .invalidArgument)
            #expect(nearFile.wasClosed)
            far.close()
        }
    }

    // covers: 181
    @Test(arguments: TestLoop.allAndFiltered, [0, 1, 2, 3])
    func cancelledConnectLeavesNoDescriptor(kind: TestLoop, iterations: Int) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let address = SocketAddress(unixPath: directory.file())!
            let server = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            let task = loop.createTask {
                let (reader, writer) = try await loop.openConnection(to: .unix(directory.file()))
                writer.close()
                withExtendedLifetime(reader) {}
            }
            for _ in 0..<iterations { await loop.yield() }
            task.cancel()
            _ = await task.result
            // What the server has accepted ends with its client.
            for _ in 0..<20 { await loop.yield() }
            await loop.until { server.connectionCount == 0 }
            #expect(loop.statistics.sources == 1)
            #expect(try openSockets(at: address) == 1)
            server.close()
        }
    }

    /// A unix client is connected when the kernel has queued it, so a server that is closed leaves none waiting.
    // covers: 182
    @Test(.expectsReleasedFiles, arguments: TestLoop.allAndFiltered, [false, true])
    func closingAServerEndsTheClientsThatWait(kind: TestLoop, hasAccepted: Bool) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let server = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            var clients: [Socket] = []
            for _ in 0..<50 {
                let client = try Socket.stream(.unix)
                #expect(try client.connect(to: SocketAddress(unixPath: directory.file())!))
                clients.append(client)
            }
            if hasAccepted { await loop.until { server.acceptedCount > 0 } }
            server.close()
            server.abortClients()
            for client in clients {
                do {
                    #expect(try await loop.sock.recv(client, maxBytes: 1).isEmpty)
                } catch let error as IOError {
                    #expect(error.errno == .connectionReset)
                }
                client.close()
            }
            try await server.waitClosed()
            #expect(try directory.files.isEmpty)
        }
    }
}
