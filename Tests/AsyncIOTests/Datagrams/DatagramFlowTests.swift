import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// What happens when a receiver takes nothing: unix sockets, because UDP drops datagrams instead of waiting.
struct DatagramFlowTests {
    /// How the sender knows its receiver.
    enum Place: CaseIterable {
        /// A pair of connected sockets.
        case pair
        /// A socket that is connected to the receiver, which is not connected back.
        case connected
        /// Each datagram has the receiver's address, so the system reports no room.
        case unconnected
    }

    struct Sender {
        var transport: DatagramTransport
        var recorder: DatagramRecorder
        var receiver: Socket
        var address: SocketAddress?

        func send(_ text: String) throws { try transport.send(text, to: address) }

        func close() {
            receiver.localAddress?.unlinkFile()
            receiver.close()
        }
    }

    static let cases = TestLoop.all.flatMap { kind in Place.allCases.map { (kind, $0) } }

    private func makeSender(_ place: Place, _ loop: EventLoop) async throws -> Sender {
        if place == .pair {
            let (near, far) = try Socket.pair(.datagram)
            let made = try await loop.createDatagramEndpoint(local: .socket(near)) { DatagramRecorder() }
            return Sender(transport: made.transport, recorder: made.protocol, receiver: far)
        }
        let address = SocketAddress(unixPath: SocketPlace.newPath())!
        let receiver = try Socket.boundDatagram(address)
        let made = try await loop.createDatagramEndpoint(
            remote: place == .connected ? .address(address) : nil, options: DatagramOptions(family: .unix)
        ) { DatagramRecorder() }
        return Sender(
            transport: made.transport, recorder: made.protocol, receiver: receiver,
            address: place == .connected ? nil : address)
    }

    // covers: 188
    @Test(arguments: cases)
    func datagramsWaitInOrderAndPauseTheWriter(kind: TestLoop, place: Place) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let sender = try await makeSender(place, loop)
            defer { sender.close() }
            let sent = (0..<600).map { "\($0) " + String(repeating: "x", count: $0 % 2_000) }
            for text in sent { try sender.send(text) }
            try await loop.sleep(for: .milliseconds(1))
            #expect(sender.transport.writeBufferBytes > 64 * 1024)
            #expect(sender.recorder.events == [.made, .paused])
            var received: [String] = []
            while received.count < sent.count {
                received += sender.receiver.arrivedDatagrams()
                try await loop.sleep(for: .milliseconds(1))
            }
            #expect(received == sent)
            #expect(sender.transport.writeBufferBytes == 0)
            #expect(sender.recorder.events == [.made, .paused, .resumed])
            await loop.end((sender.transport, sender.recorder))
        }
    }

    // covers: 188, 189
    @Test(arguments: cases)
    func closeWaitsUntilTheReceiverHasTakenEverything(kind: TestLoop, place: Place) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let sender = try await makeSender(place, loop)
            defer { sender.close() }
            let sent = (0..<300).map { "\($0) " + String(repeating: "x", count: 1_000) }
            for text in sent { try sender.send(text) }
            sender.transport.close()
            try await loop.sleep(for: .milliseconds(1))
            #expect(!sender.recorder.hasEnded)
            var received: [String] = []
            while !sender.recorder.hasEnded {
                received += sender.receiver.arrivedDatagrams()
                try await loop.sleep(for: .milliseconds(1))
            }
            received += sender.receiver.arrivedDatagrams()
            #expect(received == sent)
            #expect(sender.recorder.events.last == .lost(nil))
        }
    }

    @Test(arguments: cases)
    func closeEndsAfterAMinuteWithoutProgress(kind: TestLoop, place: Place) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let sender = try await makeSender(place, loop)
            defer { sender.close() }
            for number in 0..<1_000 { try sender.send("\(number)" + String(repeating: "x", count: 1_000)) }
            sender.transport.close()
            let began = clock.now
            while !sender.recorder.hasEnded { try await loop.sleep(for: .seconds(1)) }
            #expect(sender.recorder.events.last == .lost(.timedOut))
            let duration = began.duration(to: clock.now)
            #expect(duration >= .seconds(60) && duration < .seconds(63))
        }
    }

    @Test(arguments: cases)
    func abortDoesNotWait(kind: TestLoop, place: Place) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let sender = try await makeSender(place, loop)
            defer { sender.close() }
            for number in 0..<1_000 { try sender.send("\(number)" + String(repeating: "x", count: 1_000)) }
            await loop.yield()
            sender.transport.abort()
            await loop.until { sender.recorder.hasEnded }
            #expect(sender.recorder.events.last == .lost(nil))
        }
    }

    @Test(arguments: TestLoop.all)
    func emptyDatagramsThatWaitCountToo(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let sender = try await makeSender(.connected, loop)
            defer { sender.close() }
            for _ in 0..<2_000 { try sender.send("") }
            try await loop.sleep(for: .milliseconds(1))
            #expect(sender.recorder.events == [.made, .paused])
            #expect(sender.transport.writeBufferBytes % 64 == 0)
            var count = 0
            while count < 2_000 {
                count += sender.receiver.arrivedDatagrams().count
                try await loop.sleep(for: .milliseconds(1))
            }
            #expect(sender.transport.writeBufferBytes == 0)
            #expect(sender.recorder.events == [.made, .paused, .resumed])
            await loop.end((sender.transport, sender.recorder))
        }
    }

    @Test(arguments: TestLoop.all)
    func waterMarksCanBeChanged(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            let sender = try await makeSender(.connected, loop)
            defer { sender.close() }
            #expect(sender.transport.writeBufferLimits == (16 * 1024, 64 * 1024))
            try sender.transport.setWriteBufferLimits(highBytes: 0)
            #expect(code { try sender.transport.setWriteBufferLimits(lowBytes: 2, highBytes: 1) } == .invalidArgument)
            for _ in 0..<30 { try sender.send("") }
            try await loop.sleep(for: .milliseconds(1))
            #expect(sender.recorder.events == [.made, .paused])
            sender.transport.abort()
            await loop.until { sender.recorder.hasEnded }
        }
    }
}
