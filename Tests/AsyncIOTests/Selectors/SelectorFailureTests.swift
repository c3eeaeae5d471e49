import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// A selector that fails, or has no room: the loop says so and leaks nothing.
struct SelectorFailureTests {
    // covers: 31, 295
    @Test(arguments: SystemSelector.all)
    func aWaitThatFailsEndsTheRunAndTheLoopCanBeClosed(kind: SystemSelector) async throws {
        try await withLoopThread(makeLoop: kind.countingLoop) { loop in
            loop.counter.nextError = .ioError
            let error = #expect(throws: IOError.self) { try loop.runForever() }
            #expect(error?.errno == .ioError)
            loop.callSoon { loop.stop() }
            try loop.runForever()
            try loop.close()
        }
    }

    @Test(arguments: SystemSelector.all)
    func aRegistrationThatFailsIsToldAndLeavesNothing(kind: SystemSelector) async throws {
        try await withLoop(makeLoop: kind.countingLoop) { loop in
            let (near, far) = try Socket.pair()
            loop.counter.nextChangeError = .noMemory
            let error = #expect(throws: IOError.self) { try loop.addReader(near.descriptor) {} }
            #expect(error?.errno == .noMemory)
            #expect(loop.statistics.sources == 0)
            near.close()
            far.close()

            loop.counter.nextChangeError = .noMemory
            let refused = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(host: "127.0.0.1", port: 0) { Recorder() }
            }
            #expect(refused?.errno == .noMemory)
            #expect(loop.statistics.sources == 0)

            let kept = try KeptPort("127.0.0.1")
            defer { kept.close() }
            let server = try await loop.createServer(host: "127.0.0.1", port: kept.number) { Recorder() }
            let sources = loop.statistics.sources
            loop.counter.nextChangeError = .noMemory
            let failure = await #expect(throws: ConnectError.self) {
                _ = try await loop.createConnection(host: "127.0.0.1", port: server.port) { Recorder() }
            }
            #expect(failure?.attempts.map(\.errno) == [.noMemory])
            // The server may have accepted the client, and then sees it go.
            await loop.until { server.connectionCount == 0 && loop.statistics.sources == sources }
            server.close()
            try await server.waitClosed()
            // What keeps the port.
            #expect(try openSockets(at: server.address) == 1)
        }
    }

    // covers: 17, F63
    @Test func aSelectLoopRefusesADescriptorThatIsTooHigh() async throws {
        try await withLoop(.select) { loop in
            let loop = try #require(loop as? SelectorEventLoop)
            let (near, far) = try Socket.pair()
            let high = try duplicate(near.descriptor, from: 1500)
            for attempt in [{ try loop.addReader(high) {} }, { try loop.addWriter(high) {} }] {
                let error = #expect(throws: EventLoopError.self) { try attempt() }
                #expect(error?.code == .tooManyDescriptors)
                #expect(error?.description.contains("\(high.rawValue)") == true)
                #expect(error?.description.contains("1024") == true)
            }
            #expect(await asyncCode { try await loop.waitReadable(high) } == .tooManyDescriptors)
            #expect(loop.statistics.sources == 0)
            try high.close()
            near.close()
            far.close()
        }
    }

    /// With a limit that is only said to be there: to use up all numbers below the real one would break other tests.
    // covers: F63
    @Test func connectionsWithTooHighADescriptorAreLetGo() async throws {
        let options = LoopTestOptions(unhandledErrors: 1)
        try await withLoop(makeLoop: SystemSelector.poll.countingLoop, options) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let client = try Socket.stream(for: server.localAddresses[0])
            _ = try? client.connect(to: server.localAddresses[0])
            loop.counter.limit = 0
            // The loop's own attempt.
            #expect(
                await asyncCode {
                    _ = try await loop.createConnection(host: "127.0.0.1", port: server.port) { EchoProtocol() }
                } == .tooManyDescriptors)
            #expect(
                await asyncCode {
                    _ = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                } == .tooManyDescriptors)
            // The client that the server has accepted reads its end.
            let selector = PollSelector()
            try selector.register(client.descriptor, .read)
            var byte: [UInt8] = [0]
            var end: IOResult?
            await loop.until {
                guard (try? selector.events())?.isEmpty == false else { return false }
                end = byte.withUnsafeMutableBytes { client.receive(into: $0) }
                return true
            }
            #expect(end == .bytes(0))
            client.close()
            #expect(server.connectionCount == 0)

            // And the listener lives: the next one is served.
            loop.counter.limit = nil
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            try await writer.write("hello")
            #expect(try await reader.readExactly(5) == Array("hello".utf8))
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    #if os(Linux)
    // covers: 21
    @Test(arguments: TestLoop.all)
    func otherThreadsChangeRegistrationsThroughTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            nonisolated(unsafe) var calls = 0
            let descriptor = near.descriptor
            let other = OtherThread {
                _ = try? loop.callSoonThreadsafe {
                    try loop.addReader(descriptor) {
                        calls += 1
                        loop.removeReader(descriptor)
                    }
                }
                far.put("x")
            }
            await loop.until { calls == 1 }
            other.join()
            near.close()
            far.close()
        }
    }
    #endif
}
