import AsyncIO
import AsyncIOTesting
import Testing

/// Every protocol that got `connectionMade` gets `connectionLost`, last and once.
struct CloseNotificationTests {
    /// When a connection is ended.
    private enum Moment: CaseIterable {
        case inConnectionMade, inTheFirstIteration, afterAMessage
    }

    private enum Way: CaseIterable {
        case close, abort, reset, throwing
    }

    // covers: 327
    @Test(arguments: TestLoop.allAndFiltered)
    func closeIsReportedOnceAndLastWhenAndHoweverItComes(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 2)) { loop in
            for moment in Moment.allCases {
                for way in Way.allCases where way != .throwing || moment != .inTheFirstIteration {
                    var accepted: [Recorder] = []
                    let server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                        accepted.append(Recorder())
                        accepted.last?.reaction = { event, transport in
                            if case .data = event { transport.write("answer") }
                        }
                        return accepted[accepted.count - 1]
                    }
                    let client = Recorder()
                    var isEnded = false
                    let end = { (transport: StreamTransport) in
                        if isEnded { return }
                        isEnded = true
                        switch way {
                        case .close: transport.close()
                        case .abort: transport.abort()
                        case .reset: transport.reset()
                        case .throwing: break
                        }
                    }
                    client.reaction = { event, transport in
                        switch event {
                        case .made where moment == .inConnectionMade: end(transport)
                        case .data where moment == .afterAMessage: end(transport)
                        default: break
                        }
                    }
                    if way == .throwing {
                        client.failing = moment == .afterAMessage ? .dataReceived : .connectionMade
                    }
                    let (transport, _) = try await loop.createConnection(to: .address(server.address)) { client }
                    if moment == .inTheFirstIteration { end(transport) }
                    if moment == .afterAMessage { transport.write("message") }
                    await loop.until { if case .lost = client.events.last { true } else { false } }
                    await loop.until { server.connectionCount == 0 }
                    server.close()
                    try await server.waitClosed()
                    for recorder in [client] + accepted {
                        let lost = recorder.events.count { if case .lost = $0 { true } else { false } }
                        #expect(recorder.events.first == .made && lost == 1, "\(moment) \(way): \(recorder.events)")
                    }
                    // No further call comes.
                    let count = client.events.count
                    transport.close()
                    transport.abort()
                    for _ in 0..<3 { await loop.yield() }
                    #expect(client.events.count == count)
                }
            }
        }
    }

    // covers: 327
    @Test(arguments: TestLoop.all)
    func connectionsThatAreAbortedTogetherAreReportedInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            var order: [Int] = []
            var transports: [StreamTransport] = []
            for number in 0..<10 {
                let (transport, recorder) = try await loop.createConnection(to: .address(server.address)) { Recorder() }
                recorder.reaction = { event, _ in
                    if case .lost = event { order.append(number) }
                }
                transports.append(transport)
            }
            let ended = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
            for number in ended { transports[number].abort() }
            #expect(order.isEmpty)
            await loop.until { order.count == ended.count }
            #expect(order == ended)
            server.close()
            try await server.waitClosed()
        }
    }

    // covers: 327
    @Test(arguments: TestLoop.all)
    func serverThatNeverServedIsClosedAndWaitedFor(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let options = ServerOptions(startsServing: false)
            let server = try await loop.createServer(host: "127.0.0.1", port: 0, options: options) {
                Issue.record("a client was accepted")
                return EchoProtocol()
            }
            let waiting = loop.createTask { try await server.waitClosed() }
            await loop.yield()
            server.close()
            try await waiting.value
            #expect(!server.isServing && server.sockets.isEmpty)
        }
    }
}
