import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Receiving and sending, alone and at the same time.
struct SockTransferTests {
    // covers: 127, 134
    @Test(arguments: TestLoop.all)
    func megabytesPassSlowPeersInOrderInBothDirections(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, server) = try await loop.connectedSockets()
            for socket in [client, server] {
                try socket.setOption(.sendBufferBytes, to: 16 * 1024)
                try socket.setOption(.receiveBufferBytes, to: 16 * 1024)
            }
            let sent = pattern(3_000_000)
            let sending = [client, server].map { socket in
                loop.createTask {
                    try await loop.sock.sendAll(socket, sent)
                    try socket.shutdownWrite()
                }
            }
            let receiving = [client, server].map { socket in
                loop.createTask {
                    var received: [UInt8] = []
                    var buffer = [UInt8](repeating: 0, count: 10_000)
                    var round = 0
                    while true {
                        let count: Int
                        if round % 2 == 0 {
                            count = try await loop.sock.recv(socket, into: &buffer)
                            received += buffer[..<count]
                        } else {
                            let bytes = try await loop.sock.recv(socket, maxBytes: 10_000)
                            count = bytes.count
                            received += bytes
                        }
                        if count == 0 { return received }
                        round += 1
                        // Slowly, so that the sender has to wait.
                        if round % 8 == 0 { await loop.yield() }
                    }
                }
            }
            for task in receiving { #expect(try await task.value == sent) }
            for task in sending { try await task.value }
            client.close()
            server.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func bytesAreReceivedIntoEveryKindOfMemory(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                try await loop.sock.sendAll(peer, [1, 2, 3, 4, 5, 6])
                let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 2, alignment: 1)
                defer { memory.deallocate() }
                #expect(try await loop.sock.recv(end, into: memory) == 2)
                #expect(Array(memory) == [1, 2])
                let more = UnsafeMutableRawBufferPointer.allocate(byteCount: 10, alignment: 1)
                defer { more.deallocate() }
                try await fill(more, from: end, loop)
                #expect(Array(more[..<5]) == [9, 3, 4, 5, 6])
            }
        }
    }

    private func fill(_ memory: UnsafeMutableRawBufferPointer, from socket: Socket, _ loop: EventLoop) async throws {
        var span = OutputRawSpan(buffer: memory, initializedCount: 0)
        span.append(9, as: UInt8.self)
        let count = try await loop.sock.recv(socket, into: &span)
        #expect(count == 4)
        #expect(span.byteCount == 5)
        _ = span.finalize(for: memory)
    }

    // covers: 135
    @Test(arguments: TestLoop.all)
    func datagramsHaveSizesAndSenders(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (first, second) = (try Socket.datagram(.ipv4), try Socket.datagram(.ipv4))
            for socket in [first, second] { try socket.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!) }
            let (firstAddress, secondAddress) = (first.localAddress!, second.localAddress!)
            let receiving = loop.createTask { try await loop.sock.recvFrom(second, maxBytes: 100) }
            await loop.untilWatched()
            #expect(try await loop.sock.sendTo(first, [1, 2, 3], to: secondAddress) == 3)
            let (bytes, peer) = try await receiving.value
            #expect(bytes == [1, 2, 3])
            #expect(peer == firstAddress)

            var buffer = [UInt8](repeating: 0, count: 2)
            try await loop.sock.sendTo(second, [4, 5, 6], to: firstAddress)
            // The bytes that do not fit are lost.
            let (count, sender) = try await loop.sock.recvFrom(first, into: &buffer)
            #expect(count == 2)
            #expect(buffer == [4, 5])
            #expect(sender == secondAddress)

            // An empty datagram is a datagram, not EOF.
            #expect(try await loop.sock.sendTo(first, [], to: secondAddress) == 0)
            #expect(try await loop.sock.sendTo(first, [7], to: secondAddress) == 1)
            let empty = try await loop.sock.recvFrom(second, maxBytes: 10)
            #expect(empty.bytes.isEmpty && empty.peer == firstAddress)
            #expect(try await loop.sock.recv(second, maxBytes: 10) == [7])
            first.close()
            second.close()
        }
    }

    // covers: 135
    @Test(arguments: TestLoop.all)
    func datagramWaitsForRoom(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            // The queue of a unix receiver is limited.
            let address = try #require(SocketAddress(unixPath: SocketPlace.newPath()))
            let (sender, receiver) = (try Socket.datagram(.unix), try Socket.datagram(.unix))
            try receiver.bind(to: address)
            // Connected, so that room is reported for the sender's own socket.
            try await loop.sock.connect(sender, to: address)
            let count = 1_000
            let sending = loop.createTask {
                for number in 0..<count {
                    try await loop.sock.sendTo(sender, pattern(number % 200 + 1), to: address)
                }
            }
            await loop.untilWatched()
            for number in 0..<count {
                #expect(try await loop.sock.recv(receiver, maxBytes: 1_000) == pattern(number % 200 + 1))
            }
            try await sending.value
            sender.close()
            receiver.close()
            address.unlinkFile()
        }
    }

    // covers: 136
    @Test(arguments: TestLoop.all)
    func emptyReadsAndWritesReturnAtOnceWithoutMeaningEOF(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var nothing: [UInt8] = []
                // First without bytes to receive, then with some.
                for _ in 0..<2 {
                    #expect(try await loop.sock.recv(end, maxBytes: 0).isEmpty)
                    #expect(try await loop.sock.recv(end, into: &nothing) == 0)
                    try await loop.sock.sendAll(peer, [])
                    #expect(loop.statistics.sources == 0)
                    try await loop.sock.sendAll(peer, [1])
                }
                #expect(try await loop.sock.recv(end, maxBytes: 10) == [1, 1])
                #expect(await asyncCode { _ = try await loop.sock.recv(end, maxBytes: -1) } == .invalidArgument)
            }
        }
    }

    // covers: 133, F70
    @Test(arguments: TestLoop.all)
    func secondTaskForTheSameDirectionIsRejectedAndTheFirstContinues(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                let first = loop.createTask { try await loop.sock.recv(end, maxBytes: 10) }
                await loop.untilWatched()
                let error = await #expect(throws: EventLoopError.self) { try await loop.sock.recv(end, maxBytes: 10) }
                #expect(error?.code == .busy)
                #expect(error?.description == "another task is already waiting to use descriptor \(end.number)")
                #expect(await asyncCode { try await loop.waitReadable(end.descriptor) } == .busy)
                // The other direction is free.
                try await loop.sock.sendAll(end, [5])
                try await loop.sock.sendAll(peer, [6])
                #expect(try await first.value == [6])
                #expect(try await loop.sock.recv(peer, maxBytes: 10) == [5])

                let large = pattern(5_000_000)
                let writing = loop.createTask { try await loop.sock.sendAll(end, large) }
                await loop.untilWatched()
                #expect(await asyncCode { try await loop.sock.sendAll(end, [1]) } == .busy)
                var received: [UInt8] = []
                while received.count < large.count { received += try await loop.sock.recv(peer, maxBytes: 65_536) }
                try await writing.value
                #expect(received == large)
            }
        }
    }

    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func resetByThePeerFailsWithItsReason(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (client, server) = try await loop.connectedSockets()
            var sent = 0
            let sending = loop.createTask {
                try await loop.sock.sendAll(client, pattern(8_000_000), bytesSent: &sent)
            }
            let receiving = loop.createTask { try await loop.sock.recv(client, maxBytes: 10) }
            await loop.until { loop.statistics.waitingTasks >= 2 }
            await loop.yield()
            server.resetOnClose()
            server.close()
            let outcomes = (await sending.result, await receiving.result)
            #expect(throws: IOError.self) { try outcomes.0.get() }
            #expect(sent > 0 && sent < 8_000_000)
            // The system reports a reset once. A later read returns EOF.
            if case .failure(let second) = outcomes.1 { #expect(second is IOError) }
            #expect(loop.statistics.sources == 0)
            client.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func taskThatNeverHasToWaitLetsOthersRun(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { end, peer in
                var ticks = 0
                func tick() {
                    ticks += 1
                    if ticks < 1_000 { loop.callSoon { tick() } }
                }
                loop.callSoon { tick() }
                for _ in 0..<200 {
                    try await loop.sock.sendAll(peer, [1])
                    _ = try await loop.sock.recv(end, maxBytes: 1)
                }
                // Sixteen calls per socket and iteration.
                #expect(ticks >= 200 / 16)
                #expect(loop.statistics.waitingTasks == 0)
                ticks = 1_000
                await loop.yield()
            }
        }
    }

    @Test(arguments: TestLoop.all)
    func taskOfTheThreadPoolUsesSocketsOfTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, server) = try await loop.connectedSockets()
            let sent = pattern(1_000_000)
            let sending = Task.detached { try await loop.sock.sendAll(client, sent) }
            let receiving = Task.detached {
                var received: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65_536)
                while received.count < sent.count {
                    let count = try await loop.sock.recv(server, into: &buffer)
                    received += buffer[..<count]
                }
                return received
            }
            #expect(try await receiving.value == sent)
            try await sending.value
            #expect(loop.statistics.hops > 0)
            client.close()
            server.close()
        }
    }
}
