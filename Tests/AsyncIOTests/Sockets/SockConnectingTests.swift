import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

@testable import AsyncIO

struct SockConnectingTests {
    // covers: 123
    @Test(arguments: TestLoop.all, SocketPlace.available)
    func socketsConnectAcceptSendAndReceive(kind: TestLoop, place: SocketPlace) async throws {
        try await withLoop(kind) { loop in
            let (listener, address) = try place.listen()
            let client = try Socket.stream(address.family)
            // The task has to wait for a client.
            let accepting = loop.createTask { try await loop.sock.accept(listener).socket }
            await loop.untilWatched()
            try await loop.sock.connect(client, to: address)
            let server = try await accepting.value
            #expect(try server.isNonBlocking() && server.closesOnExec)
            #expect(client.peerAddress == address)

            try await loop.sock.sendAll(client, pattern(1000))
            #expect(try await loop.sock.recv(server, maxBytes: 600) == Array(pattern(1000)[..<600]))
            var buffer = [UInt8](repeating: 0, count: 600)
            #expect(try await loop.sock.recv(server, into: &buffer) == 400)
            #expect(Array(buffer[..<400]) == Array(pattern(1000)[600...]))
            client.close()
            #expect(try await loop.sock.recv(server, maxBytes: 600).isEmpty)
            #expect(try await loop.sock.recv(server, into: &buffer) == 0)
            server.close()
            listener.close()
            address.unlinkFile()
        }
    }

    // covers: 125
    @Test(arguments: TestLoop.all, ["127.0.0.1", "::1"])
    func refusedConnectNamesTheAddressAndLeavesTheSocketOpen(kind: TestLoop, host: String) async throws {
        try await withLoop(kind) { loop in
            let kept = try KeptPort(host)
            defer { kept.close() }
            let address = try #require(SocketAddress(literal: host, port: kept.number))
            let socket = try Socket.stream(address.family)
            let error = await #expect(throws: IOError.self) { try await loop.sock.connect(socket, to: address) }
            #expect(error?.errno == .connectionRefused)
            #expect(error?.description == "cannot connect to \(address): \(Errno.connectionRefused)")
            #expect(loop.statistics.sources == 0)
            #expect(try socket.option(.receiveBufferBytes) > 0)
            socket.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func errorNamesAUnixPathWithoutASocket(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let path = SocketPlace.newPath()
            let socket = try Socket.stream(.unix)
            let address = try #require(SocketAddress(unixPath: path))
            let error = await #expect(throws: IOError.self) { try await loop.sock.connect(socket, to: address) }
            #expect(error?.errno == .noSuchFileOrDirectory)
            #expect(error?.description.contains(path) == true)
            socket.close()
        }
        #expect(SocketAddress(unixPath: "") == nil)
        #expect(SocketAddress(unixPath: "a\0b") == nil)
        #expect(SocketAddress(unixPath: String(repeating: "x", count: 200)) == nil)
        #expect(SocketAddress(unixPath: String(repeating: "x", count: 100))?.family == .unix)
    }

    // covers: 126
    @Test(arguments: TestLoop.all)
    func hostIsResolvedForTheFamilyOfTheSocket(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            let port = try #require(address.port)
            let client = try Socket.stream(.ipv4)
            try await loop.sock.connect(client, host: "localhost", port: port)
            #expect(client.peerAddress == address)
            client.close()

            let ipv6 = try Socket.stream(.ipv6)
            let mismatch = await #expect(throws: EventLoopError.self) {
                try await loop.sock.connect(ipv6, host: "127.0.0.1", port: port)
            }
            #expect(mismatch?.code == .unknownHost)
            #expect(mismatch?.description == "the host '127.0.0.1' has no IPv6 address")
            // An address is neither looked up nor changed, so the kernel reports what is wrong with it.
            await #expect(throws: IOError.self) { try await loop.sock.connect(ipv6, to: .init(unixPath: "/x")!) }
            #expect(await asyncCode { try await loop.sock.connect(ipv6, host: "", port: port) } == .invalidArgument)
            ipv6.close()

            let unix = try Socket.stream(.unix)
            #expect(
                await asyncCode { try await loop.sock.connect(unix, host: "localhost", port: 1) } == .invalidArgument)
            unix.close()
            listener.close()
        }
    }

    // covers: 126
    @Test(arguments: TestLoop.all)
    func hostIsResolvedForADatagramSocketToo(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (sender, receiver) = (try Socket.datagram(.ipv4), try Socket.datagram(.ipv4))
            try receiver.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!)
            let address = try #require(receiver.localAddress)
            try await loop.sock.connect(sender, host: "localhost", port: address.port!)
            #expect(sender.peerAddress == address)
            try await loop.sock.sendAll(sender, [7])
            #expect(try await loop.sock.recv(receiver, maxBytes: 10) == [7])
            sender.close()
            receiver.close()
        }
    }

    /// Otherwise the socket would be reported writable in each iteration, and never connected.
    @Test(arguments: TestLoop.all)
    func connectStartsAgainAfterAnExternalShutdown(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let full = try FullListener()
            defer { full.close() }
            let socket = try Socket.stream(for: full.address)
            let connecting = loop.createTask { try await loop.sock.connect(socket, to: full.address) }
            await loop.untilWatched()
            // A loop that waits for completions begins the attempt in its next wait.
            for _ in 0..<2 { await loop.yield() }
            try socket.shutdown()
            _ = socket.pendingError()
            try full.makeRoom()
            try await connecting.value
            #expect(socket.peerAddress == full.address)
            socket.close()
        }
    }

    // covers: 131, F21
    @Test(arguments: TestLoop.all)
    func cancelledConnectLeavesTheSocketOpenAndTheAddressUsable(kind: TestLoop) async throws {
        // The kernel retries a full listener after 1, 3, 7, 15 seconds.
        try await withLoop(kind, patiently) { loop in
            let full = try FullListener()
            let socket = try Socket.stream(.ipv4)
            for _ in 0..<3 {
                let task = loop.createTask { try await loop.sock.connect(socket, to: full.address) }
                await loop.untilWatched()
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                #expect(loop.statistics.sources == 0)
                // The socket was not closed.
                #expect(try socket.option(.receiveBufferBytes) > 0)
            }
            // The attempt has continued; a new call for the same address joins it.
            let joined = loop.createTask { try await loop.sock.connect(socket, to: full.address) }
            await loop.untilWatched()
            try full.makeRoom()
            let another = try Socket.stream(.ipv4)
            try await loop.sock.connect(another, to: full.address)
            #expect(another.peerAddress == full.address)
            try full.makeRoom()
            try await joined.value
            #expect(socket.peerAddress == full.address)
            for socket in [socket, another] { socket.close() }
            full.close()
        }
    }

    // covers: F21
    @Test(arguments: TestLoop.all)
    func cancelledConnectsCloseNoForeignDescriptors(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let full = try FullListener()
            let isDone = Flag()
            nonisolated(unsafe) var lost = 0
            let opened = OtherThread {
                while !isDone.isSet {
                    let files = (0..<8).compactMap { _ in try? FileDescriptor.open("/dev/zero", .readOnly) }
                    for file in files {
                        var byte: [UInt8] = [1]
                        // A number that other code has closed, or that belongs to a socket by now.
                        if (try? byte.withUnsafeMutableBytes { try file.read(into: $0) }) != 1 || byte != [0] {
                            lost += 1
                        }
                        if (try? file.close()) == nil { lost += 1 }
                    }
                }
            }
            for round in 0..<rounds(debug: 100, full: 1_000) {
                let socket = try Socket.stream(.ipv4)
                let own = loop.createTask { try await loop.sock.connect(socket, to: full.address) }
                let theirs = loop.createTask {
                    _ = try await loop.openConnection(host: "127.0.0.1", port: full.address.port!)
                }
                if round % 2 == 0 { await loop.untilWatched(2) }
                own.cancel()
                theirs.cancel()
                await #expect(throws: CancellationError.self) { try await own.value }
                await #expect(throws: CancellationError.self) { try await theirs.value }
                socket.close()
            }
            isDone.set()
            opened.join()
            #expect(lost == 0)
            #expect(loop.statistics.sources == 0)
            full.close()
        }
    }

    // covers: 130
    @Test(arguments: TestLoop.all)
    func cancelledAcceptHasAcceptedNoClient(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            for round in 0..<rounds(debug: 50, full: 500) {
                let task = loop.createTask { try await loop.sock.accept(listener).socket }
                await loop.untilWatched()
                let client = try Socket.stream(.ipv4)
                // The client arrives before the cancellation, in the same iteration, or after it.
                if round % 3 == 0 { task.cancel() }
                try await loop.sock.connect(client, to: address)
                if round % 3 == 1 { task.cancel() }
                let server: Socket
                do {
                    server = try await task.value
                } catch {
                    #expect(error is CancellationError)
                    #expect(loop.statistics.sources == 0)
                    server = try await loop.sock.accept(listener).socket
                }
                #expect(server.peerAddress == client.localAddress)
                client.close()
                server.close()
            }
            #expect(try openSockets(at: address) == 1)
            listener.close()
        }
    }

    // covers: 124
    @Test(arguments: TestLoop.all)
    func blockingSocketIsRejectedBeforeItBlocksTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (listener, address) = try SocketPlace.ipv4.listen()
            let socket = try Socket.stream(.ipv4)
            try listener.setNonBlocking(false)
            try socket.setNonBlocking(false)
            // These would wait in the kernel.
            #expect(await asyncCode { _ = try await loop.sock.accept(listener) } == .invalidArgument)
            let elsewhere = Task.detached { await asyncCode { _ = try await loop.sock.accept(listener) } }
            #expect(await elsewhere.value == .invalidArgument)
            #expect(await asyncCode { try await loop.sock.connect(socket, to: address) } == .invalidArgument)
            let (end, peer) = try Socket.pair()
            try end.setNonBlocking(false)
            // These pass `MSG_DONTWAIT`, so they work.
            let receiving = loop.createTask { try await loop.sock.recv(end, maxBytes: 10) }
            await loop.untilWatched()
            try await loop.sock.sendAll(peer, [7])
            #expect(try await receiving.value == [7])
            // In debug mode every call rejects a blocking socket.
            loop.debug.isEnabled = true
            #expect(await asyncCode { _ = try await loop.sock.recv(end, maxBytes: 10) } == .invalidArgument)
            #expect(await asyncCode { _ = try await loop.sock.recvFrom(end, maxBytes: 10) } == .invalidArgument)
            #expect(await asyncCode { try await loop.sock.sendAll(end, [1]) } == .invalidArgument)
            try await loop.sock.sendAll(peer, [7])
            for socket in [end, peer, listener, socket] { socket.close() }
        }
    }
}
