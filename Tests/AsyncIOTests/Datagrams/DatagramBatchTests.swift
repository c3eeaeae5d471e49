import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// Several datagrams per system call.
struct DatagramBatchTests {
    private static let roomy = DatagramOptions(socketOptions: [.receiveBufferBytes: 2 << 20])

    // covers: 195
    @Test(arguments: TestLoop.all)
    func manyDatagramsArriveInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams(options: Self.roomy)
            server.transport.pauseReading()
            let sender = try Socket.boundDatagram()
            defer { sender.close() }
            let sent = (0..<300).map { "datagram \($0)" }
            for text in sent { _ = sender.sendDatagram(text, to: server.transport.localAddress!) }
            server.transport.resumeReading()
            await loop.until { server.recorder.datagrams.count == sent.count }
            #expect(server.recorder.texts == sent)
            #expect(server.recorder.datagrams.allSatisfy { $0.address == sender.localAddress })
            await loop.end(server)
        }
    }

    @Test(arguments: TestLoop.all)
    func datagramsOfEverySizeArriveWhole(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams(options: Self.roomy)
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            let sizes = [0, 1, 1_500, 16_384, 16_385, 32_768, 65_506, 65_507, 3]
            for size in sizes { try client.transport.send(pattern(size)) }
            await loop.until { server.recorder.datagrams.count == sizes.count }
            #expect(server.recorder.datagrams.map(\.bytes) == sizes.map { pattern($0) })
            await loop.end(server, client)
            #expect(client.recorder.errors == [])
        }
    }

    @Test(arguments: TestLoop.all)
    func unixDatagramsMayBeLargerThanAnyOfUDP(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair(.datagram)
            let one = try await loop.createDatagramEndpoint(local: .socket(near)) { DatagramRecorder() }
            let other = try await loop.createDatagramEndpoint(local: .socket(far)) { DatagramRecorder() }
            for size in [150_000, 10, 0] { try one.transport.send(pattern(size)) }
            await loop.until { other.protocol.datagrams.count == 3 }
            #expect(other.protocol.datagrams.map(\.bytes) == [150_000, 10, 0].map { pattern($0) })
            #expect(other.protocol.datagrams.allSatisfy { $0.address == nil })
            await loop.end((one.transport, one.protocol), (other.transport, other.protocol))
        }
    }

    // covers: 195
    @Test(arguments: TestLoop.all)
    func closeInTheMiddleOfABatchDeliversNoMore(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            server.recorder.reaction = { event, transport in
                if event == .datagram("2") { transport.close() }
            }
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            for number in 0..<10 { try client.transport.send("\(number)") }
            await loop.until { server.recorder.hasEnded }
            #expect(server.recorder.events == [.made, .datagram("0"), .datagram("1"), .datagram("2"), .lost(nil)])
            await loop.end(client)
        }
    }

    @Test(arguments: TestLoop.all)
    func answerBeforeACloseIsSent(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            server.recorder.reaction = { event, transport in
                guard event == .datagram("question") else { return }
                try? transport.send("answer", to: client.transport.localAddress)
                transport.close()
            }
            try client.transport.send("question")
            await loop.until { !client.recorder.datagrams.isEmpty }
            #expect(client.recorder.texts == ["answer"])
            await loop.end(server, client)
        }
    }

    /// The kernel's answer to a datagram that is larger than any slot, which only unix sockets can get.
    private final class CuttingCalls: SystemCalls {
        var cutCount = 1

        func receiveFrom(
            _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
        ) -> (result: IOResult, peer: SocketAddress?) {
            let (result, peer) = socket.receiveFrom(into: buffer)
            guard case .bytes = result, cutCount > 0 else { return (result, peer) }
            cutCount -= 1
            return (.bytes(buffer.count + 1), peer)
        }
    }

    // covers: 195
    @Test(arguments: TestLoop.all)
    func datagramThatWasCutIsAnErrorAndNotDelivered(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            loop.replaceSystemCalls(by: CuttingCalls())
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            for text in ["cut", "whole"] { try client.transport.send(text) }
            await loop.until { !server.recorder.datagrams.isEmpty }
            #expect(server.recorder.texts == ["whole"])
            #expect(server.recorder.errors.map(\.errno) == [.messageTooLong])
            #expect(server.recorder.errors.map(\.address) == [client.transport.localAddress])
            await loop.end(server, client)
        }
    }

    /// Two endpoints share the memory of the loop, and their datagrams must not mix.
    @Test(arguments: TestLoop.all)
    func endpointsThatTakeTurnsSendInOrder(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams()
            let one = try await loop.recordDatagrams(to: server.transport.localAddress)
            let other = try await loop.recordDatagrams(to: server.transport.localAddress)
            let transports = [one.transport, other.transport]
            for number in 0..<20 {
                // Not a choice of a pair within the loop, which crashes the compiler (6.3.1) in a release build.
                try transports[number % 3 == 0 ? 0 : 1].send("\(number)")
            }
            await loop.until { server.recorder.datagrams.count == 20 }
            #expect(server.recorder.texts == (0..<20).map { "\($0)" })
            let ports = server.recorder.datagrams.map { $0.address?.port }
            let expected = (0..<20).map { transports[$0 % 3 == 0 ? 0 : 1].localAddress?.port }
            #expect(ports == expected)
            await loop.end(server, one, other)
        }
    }

    /// More than one call takes, and more than the memory for one call.
    @Test(arguments: TestLoop.all)
    func moreThanABatchIsSentInOneIteration(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.recordDatagrams(options: Self.roomy)
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            let sent = (0..<200).map { "\($0) " + String(repeating: "x", count: $0 % 7 == 0 ? 4_000 : 10) }
            for text in sent { try client.transport.send(text) }
            await loop.until { server.recorder.datagrams.count == sent.count }
            #expect(server.recorder.texts == sent)
            await loop.end(server, client)
        }
    }

    @Test(arguments: TestLoop.all)
    func receiveThatAlwaysFailsEndsTheEndpoint(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            loop.injectFaults { $0 == .receiveFrom ? .fails(.noMemory) : nil }
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            try client.transport.send("x")
            await loop.until { server.recorder.hasEnded }
            #expect(server.recorder.events.last == .lost(.noMemory))
            #expect(server.recorder.errors.count == 16)
            loop.replaceSystemCalls(by: nil)
            client.transport.abort()
            await loop.until { client.recorder.hasEnded }
        }
    }

    @Test(arguments: TestLoop.all)
    func receiveThatFailsOnceLosesNothing(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var failures = 3
            loop.injectFaults { call in
                guard call == .receiveFrom, failures > 0 else { return nil }
                failures -= 1
                return .fails(.noMemory)
            }
            let server = try await loop.recordDatagrams()
            let client = try await loop.recordDatagrams(to: server.transport.localAddress)
            for text in ["one", "two"] { try client.transport.send(text) }
            await loop.until { server.recorder.datagrams.count == 2 }
            #expect(server.recorder.texts == ["one", "two"])
            await loop.end(server, client)
        }
    }
}
