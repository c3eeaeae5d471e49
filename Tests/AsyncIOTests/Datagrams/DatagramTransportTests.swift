import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Sending and receiving with a protocol, on every loop.
struct DatagramTransportTests {
    static let hosts = ["127.0.0.1"] + (SocketPlace.hasIPv6 ? ["::1"] : [])

    // covers: 183, 185
    @Test(arguments: TestLoop.all)
    func datagramsKeepTheirBordersAndSenders(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for host in Self.hosts {
                let (server, echo) = try await loop.createDatagramEndpoint(local: .host(host, port: 0)) {
                    DatagramEcho()
                }
                let one = try await loop.recordDatagrams(on: host)
                let other = try await loop.recordDatagrams(on: host)
                let address = server.localAddress!
                for text in ["one", "", "three"] { try one.transport.send(text, to: address) }
                try other.transport.send([], to: address)
                await loop.until { one.recorder.datagrams.count == 3 && other.recorder.datagrams.count == 1 }
                #expect(one.recorder.texts == ["one", "", "three"])
                #expect(other.recorder.datagrams == [Datagram(bytes: [], address: address)])
                #expect(one.recorder.datagrams.allSatisfy { $0.address == address })
                server.close()
                await loop.end(one, other)
                #expect(one.recorder.otherEvents == [.made, .lost(nil)])
                withExtendedLifetime(echo) {}
            }
        }
    }

    // covers: 184
    @Test(arguments: TestLoop.all)
    func connectedEndpointSendsWithoutAnAddressAndRefusesAnother(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let stranger = try await loop.recordDatagrams()
            let address = server.transport.localAddress!
            let client = try await loop.recordDatagrams(to: address)
            #expect(client.transport.peerAddress == address)
            try client.transport.send("plain")
            try client.transport.send("named", to: address)
            #expect(code { try client.transport.send("x", to: stranger.transport.localAddress) } == .invalidArgument)
            #expect(code { try server.transport.send("x") } == .invalidArgument)
            await loop.until { server.recorder.datagrams.count == 2 }
            #expect(server.recorder.texts == ["plain", "named"])
            // A connected socket receives from its peer only.
            try stranger.transport.send("stranger", to: client.transport.localAddress)
            try server.transport.send("peer", to: client.transport.localAddress)
            await loop.until { !client.recorder.datagrams.isEmpty }
            #expect(client.recorder.datagrams == [Datagram(bytes: Array("peer".utf8), address: address)])
            await loop.end(server, stranger, client)
            #expect(client.recorder.errors == [])
        }
    }

    // covers: 186, F58
    @Test(arguments: TestLoop.all)
    func datagramThatCannotBeSentFailsAlone(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams()
            let address = server.transport.localAddress!
            let nowhere = SocketAddress(literal: "127.0.0.1", port: 0)!
            try client.transport.send("first", to: address)
            try client.transport.send([UInt8](repeating: 0, count: 70_000), to: address)
            try client.transport.send("second", to: address)
            try client.transport.send("nobody", to: nowhere)
            try client.transport.send("third", to: address)
            await loop.until { server.recorder.datagrams.count == 3 && client.recorder.errors.count == 2 }
            #expect(server.recorder.texts == ["first", "second", "third"])
            #expect(client.recorder.errors.map(\.errno) == [.messageTooLong, .invalidArgument])
            #expect(client.recorder.errors.map(\.address) == [address, nowhere])
            #expect("\(client.recorder.errors[1])" == "cannot send a datagram to 127.0.0.1:0: Invalid argument")
            await loop.end(server, client)
            #expect(client.recorder.otherEvents.last == .lost(nil))
        }
    }

    // covers: 187, F57
    @Test(arguments: TestLoop.all)
    func endpointGoesOnAfterTheNetworkHasReportedAnError(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = unusedDatagramAddress()
            let client = try await loop.recordDatagrams(to: address)
            try client.transport.send("nobody is there")
            await loop.until { !client.recorder.errors.isEmpty }
            #expect(client.recorder.errors.map(\.errno) == [.connectionRefused])
            // Now somebody is.
            let peer = try Socket.boundDatagram(address)
            defer { peer.close() }
            try client.transport.send("again")
            var arrived: [String] = []
            await loop.until {
                arrived += peer.arrivedDatagrams()
                return !arrived.isEmpty
            }
            #expect(arrived == ["again"])
            #expect(peer.sendDatagram("answer", to: client.transport.localAddress!) == .bytes(6))
            await loop.until { !client.recorder.datagrams.isEmpty }
            #expect(client.recorder.texts == ["answer"])
            await loop.end(client)
            #expect(client.recorder.otherEvents == [.made, .error(.connectionRefused), .lost(nil)])
        }
    }

    // covers: 191
    @Test(arguments: TestLoop.all)
    func failedSendIsReportedWhileNothingIsReceived(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let client = try await loop.recordDatagrams(to: unusedDatagramAddress())
            client.transport.pauseReading()
            await loop.until {
                try? client.transport.send("nobody is there")
                return !client.recorder.errors.isEmpty
            }
            #expect(client.recorder.errors[0].errno == .connectionRefused)
            await loop.end(client)
        }
    }

    /// The error of the network belongs to the first datagram, and must not cost the second one.
    @Test(arguments: TestLoop.all)
    func errorOfAnEarlierDatagramDoesNotReplaceTheNextOne(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let address = unusedDatagramAddress()
            let client = try await loop.recordDatagrams(to: address)
            client.transport.pauseReading()
            try client.transport.send("nobody is there")
            await loop.yield()
            await loop.yield()
            let peer = try Socket.boundDatagram(address)
            defer { peer.close() }
            try client.transport.send("now")
            await loop.until { !client.recorder.errors.isEmpty }
            var arrived: [String] = []
            await loop.until {
                arrived += peer.arrivedDatagrams()
                return !arrived.isEmpty
            }
            #expect(arrived == ["now"])
            await loop.end(client)
        }
    }

    // covers: 189
    @Test(arguments: TestLoop.all)
    func closeSendsWhatWasSentBeforeAndLaterDatagramsAreDiscarded(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            let reports = Locked<[String]>([])
            loop.setExceptionHandler { _, context in reports.withLock { $0.append("\(context)") } }
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams()
            for number in 0..<10 { try client.transport.send("\(number)", to: server.transport.localAddress) }
            client.transport.close()
            client.transport.close()
            #expect(client.transport.isClosing)
            try client.transport.send("late", to: server.transport.localAddress)
            await loop.until { client.recorder.hasEnded }
            try client.transport.send("later", to: server.transport.localAddress)
            client.transport.abort()
            await loop.until { server.recorder.datagrams.count == 10 }
            #expect(server.recorder.texts == (0..<10).map { "\($0)" })
            #expect(client.recorder.events == [.made, .lost(nil)])
            await loop.end(server)
            #expect(server.recorder.datagrams.count == 10)
            #expect(reports.withLock { $0.count } == 1)
            #expect(reports.withLock { $0[0].hasPrefix("a datagram of 4 bytes from 127.0.0.1:") })
        }
    }

    @Test(arguments: TestLoop.all)
    func abortDiscardsWhatWasNotSent(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams()
            try client.transport.send("discarded", to: server.transport.localAddress)
            client.transport.abort()
            await loop.until { client.recorder.hasEnded }
            #expect(client.recorder.events == [.made, .lost(nil)])
            await loop.end(server)
            #expect(server.recorder.datagrams == [])
        }
    }

    // covers: 190
    @Test(arguments: TestLoop.all)
    func datagramsWithoutEndDoNotStarveTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (server, _) = try await loop.createDatagramEndpoint(local: .host("127.0.0.1", port: 0)) {
                DatagramEcho()
            }
            let (client, _) = try await loop.createDatagramEndpoint(local: .host("127.0.0.1", port: 0)) {
                DatagramEcho()
            }
            // Each of them is sent back and forth until the endpoints are closed.
            for _ in 0..<100 { try client.send("ball", to: server.localAddress) }
            var timers = 0
            for _ in 0..<20 {
                try await loop.sleep(for: .nanoseconds(1))
                timers += 1
                await loop.yield()
            }
            #expect(timers == 20)
            server.close()
            client.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func errorOfTheProtocolIsReportedAndEndsNothing(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 4)) { loop in
            loop.setExceptionHandler { _, _ in }
            let server = try await loop.createDatagramEndpoint(local: .host("127.0.0.1", port: 0)) {
                let recorder = DatagramRecorder()
                recorder.isFailing = true
                return recorder
            }
            let client = try await loop.recordDatagrams()
            for text in ["one", "two"] { try client.transport.send(text, to: server.transport.localAddress) }
            await loop.until { server.protocol.datagrams.count == 2 }
            await loop.end(client, (server.transport, server.protocol))
            #expect(server.protocol.events == [.made, .datagram("one"), .datagram("two"), .lost(nil)])
        }
    }

    @Test(arguments: TestLoop.all)
    func newProtocolReceivesTheNextDatagrams(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let second = DatagramRecorder()
            server.recorder.reaction = { event, transport in
                if event == .datagram("one") { transport.protocol = second }
            }
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            for text in ["one", "two"] { try client.transport.send(text) }
            await loop.until { !second.datagrams.isEmpty }
            #expect(second.texts == ["two"])
            #expect(server.transport.protocol === second)
            server.transport.close()
            await loop.until { second.hasEnded }
            await loop.end(client)
            #expect(server.transport.protocol == nil)
            #expect(server.recorder.events == [.made, .datagram("one")])
        }
    }

    @Test(arguments: TestLoop.all)
    func endpointThatIsOpenWhenItsLoopIsClosedIsReleased(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let server = try await loop.recordDatagrams()
            try server.transport.send("to itself", to: server.transport.localAddress)
        }
    }
}
