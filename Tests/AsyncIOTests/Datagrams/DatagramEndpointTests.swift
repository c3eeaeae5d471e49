import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Datagrams for tasks.
struct DatagramEndpointTests {
    private static let loopback = Endpoint.host("127.0.0.1", port: 0)

    @Test(arguments: TestLoop.all)
    func sequenceEndsWhenTheEndpointIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.openDatagramEndpoint(local: Self.loopback)
            let client = try await loop.openDatagramEndpoint(remote: .address(server.localAddress!))
            let echo = loop.createTask { @concurrent in
                var count = 0
                for try await datagram in server {
                    try await server.send(datagram.bytes, to: datagram.address)
                    count += 1
                    if datagram.bytes == Array("last".utf8) { server.close() }
                }
                return count
            }
            for text in ["one", "", "last"] {
                try await client.send(text)
                let answer = try await client.receive()
                #expect(answer == Datagram(bytes: Array(text.utf8), address: server.localAddress))
            }
            #expect(try await echo.value == 3)
            client.close()
            #expect(try await client.receive() == nil)
            try await client.waitClosed()
            try await server.waitClosed()
        }
    }

    @Test(arguments: TestLoop.all)
    func datagramIsReceivedIntoMemoryOfTheCaller(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.openDatagramEndpoint(local: Self.loopback)
            let client = try await loop.openDatagramEndpoint(remote: .address(server.localAddress!))
            for text in ["abc", "abcdef", ""] { try await client.send(text) }
            var buffer: [UInt8] = [0, 0, 0, 0]
            #expect(try await server.receive(into: &buffer)?.byteCount == 3)
            #expect(buffer == Array("abc\0".utf8))
            let cut = try await server.receive(into: &buffer)
            #expect(cut?.byteCount == 6)
            #expect(cut?.address == client.localAddress)
            #expect(buffer == Array("abcd".utf8))
            #expect(try await server.receive(into: &buffer)?.byteCount == 0)
            client.close()
            server.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func errorsAreThrownAndEndNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = unusedDatagramAddress()
            let client = try await loop.openDatagramEndpoint(remote: .address(address))
            do {
                try await client.send([UInt8](repeating: 0, count: 70_000))
                Issue.record("a datagram of 70,000 bytes was sent")
            } catch let error as IOError {
                #expect(error.errno == .messageTooLong)
                #expect(error.address == address)
            }
            try await client.send("nobody is there")
            do {
                _ = try await client.receive()
                Issue.record("received from nobody")
            } catch let error as IOError {
                #expect(error.errno == .connectionRefused)
            }
            let peer = try Socket.boundDatagram(address)
            defer { peer.close() }
            _ = peer.sendDatagram("hello", to: client.localAddress!)
            #expect(try await client.receive()?.bytes == Array("hello".utf8))
            client.close()
            #expect(await asyncCode { try await client.send("late") } == .connectionClosed)
        }
    }

    /// A task that has fallen behind sends its answers together, and gets their errors when it receives.
    @Test(arguments: TestLoop.all)
    func answersToWaitingDatagramsAreSentInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.openDatagramEndpoint(local: .host("127.0.0.1", port: 0))
            let peer = try Socket.boundDatagram(unusedDatagramAddress())
            defer { peer.close() }
            let numbers = Array("0123456789")
            for number in numbers { _ = peer.sendDatagram("\(number)", to: server.localAddress!) }
            await loop.until { server.inbox.count == numbers.count }

            var sends = 0
            loop.injectFaults { call in
                guard call == .sendTo else { return nil }
                sends += 1
                return sends == 3 ? .fails(.networkUnreachable) : nil
            }
            for _ in numbers {
                guard let question = try await server.receive() else { break }
                try await server.send(question.bytes, to: question.address)
                // All but the last one wait until the task does, or the iteration ends.
                #expect(sends == (server.inbox.hasDatagrams ? 0 : numbers.count))
            }
            for number in numbers where number != "2" {
                #expect(try await loop.sock.recv(peer, maxBytes: 10) == Array("\(number)".utf8))
            }
            let error = await #expect(throws: IOError.self) { try await server.receive() }
            #expect(error?.errno == .networkUnreachable && error?.address == peer.localAddress)
            server.close()
            try await server.waitClosed()
        }
    }

    /// A sequence cannot continue after an error, so it ignores those of the network.
    @Test(arguments: TestLoop.all)
    func sequenceIgnoresErrorsOfTheNetwork(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = unusedDatagramAddress()
            let client = try await loop.openDatagramEndpoint(remote: .address(address))
            try await client.send("nobody is there")
            await loop.until { client.inbox.takeError() != nil }
            try await client.send("nobody is there")
            let received = loop.createTask { @concurrent in
                for try await datagram in client { return datagram.bytes }
                return []
            }
            await loop.yield()
            let peer = try Socket.boundDatagram(address)
            defer { peer.close() }
            _ = peer.sendDatagram("hello", to: client.localAddress!)
            #expect(try await received.value == Array("hello".utf8))
            client.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func onlyOneTaskMayReceiveAndACancelledOneLosesNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.openDatagramEndpoint(local: Self.loopback)
            let waiting = loop.createTask { @concurrent in try await server.receive() }
            await loop.yield()
            #expect(await asyncCode { _ = try await server.receive() } == .busy)
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await server.send("to itself", to: server.localAddress)
            #expect(try await server.receive()?.bytes == Array("to itself".utf8))
            server.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func storedDatagramsAreBounded(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let limit = DatagramOptions(receiveBufferBytes: 10_000)
            let server = try await loop.openDatagramEndpoint(local: Self.loopback, options: limit)
            let sender = try Socket.boundDatagram()
            defer { sender.close() }
            var sent = 0
            for _ in 0..<50 {
                for _ in 0..<50 {
                    _ = sender.sendDatagram("\(sent)", to: server.localAddress!)
                    sent += 1
                }
                await loop.yield()
            }
            // The limit, one batch more, and what a driver has received without being asked.
            var received: [Int] = []
            while let datagram = try await nextStored(server) {
                received.append(Int(String(decoding: datagram.bytes, as: UTF8.self))!)
            }
            #expect(received.first == 0)
            #expect(received == received.sorted())
            #expect(received.count < sent)
            server.close()
        }
    }

    /// Returns a datagram that arrives within some iterations.
    private func nextStored(_ endpoint: DatagramEndpoint) async throws -> Datagram? {
        for _ in 0..<20 where !endpoint.inbox.hasDatagrams { await endpoint.loop.yield() }
        return endpoint.inbox.hasDatagrams ? try await endpoint.receive() : nil
    }

    @Test(arguments: TestLoop.all)
    func sendWaitsWhileTheReceiverTakesNothing(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let (near, far) = try Socket.pair(.datagram)
            defer { far.close() }
            let sender = try await loop.openDatagramEndpoint(local: .socket(near))
            let sent = (0..<600).map { "\($0) " + String(repeating: "x", count: 1_000) }
            let sending = loop.createTask { @concurrent in
                for text in sent { try await sender.send(text) }
                sender.close()
            }
            try await loop.sleep(for: .milliseconds(1))
            #expect(sender.inbox.isWritingPaused)
            #expect(sender.transport.writeBufferBytes < 70 * 1024)
            var received: [String] = []
            while received.count < sent.count {
                received += far.arrivedDatagrams()
                try await loop.sleep(for: .milliseconds(1))
            }
            #expect(received == sent)
            try await sending.value
            try await sender.waitClosed()
        }
    }

    @Test(arguments: TestLoop.all)
    func endpointThatIsReleasedIsClosed(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let socket = try Socket.boundDatagram()
            let file = OpenFile(socket.descriptor)
            var endpoint: DatagramEndpoint? = try await loop.openDatagramEndpoint(local: .socket(socket))
            #expect(endpoint?.localAddress != nil)
            endpoint = nil
            await loop.until { file.wasClosed }
        }
    }

    @Test(arguments: TestLoop.all)
    func taskOfAnotherExecutorUsesAnEndpoint(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let endpoint = try await loop.openDatagramEndpoint(local: Self.loopback)
            nonisolated(unsafe) let server = endpoint
            let answer = try await Task.detached { () async throws -> Datagram? in
                try await server.send("to itself", to: server.localAddress)
                defer { server.close() }
                return try await server.receive()
            }.value
            #expect(answer == Datagram(bytes: Array("to itself".utf8), address: endpoint.localAddress))
            try await endpoint.waitClosed()
        }
    }
}
