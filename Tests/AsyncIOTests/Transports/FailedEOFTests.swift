import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// The system refuses to send EOF.
struct FailedEOFTests {
    /// It was ignored, and the peer waited for EOF for ever.
    // covers: F66
    @Test(arguments: TestLoop.allAndFiltered)
    func failedEOFEndsTheConnection(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (transport, recorder) = try await loop.createConnection(to: .socket(near)) { Recorder() }
            loop.injectFaults { $0 == .shutdownWrite ? .fails(.noBufferSpace) : nil }
            transport.writeEOF()
            // Never within the call.
            #expect(recorder.events == [.made])
            await loop.until { recorder.events.count == 2 }
            #expect(recorder.events == [.made, .lost(.io(.noBufferSpace))])
            far.close()
        }
    }

    // covers: F66
    @Test(arguments: TestLoop.allAndFiltered)
    func failedEOFEndsAGracefulClose(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (transport, recorder) = try await loop.createConnection(to: .socket(near)) { Recorder() }
            loop.injectFaults { $0 == .shutdownWrite ? .fails(.noBufferSpace) : nil }
            transport.closeGracefully()
            await loop.until { recorder.events.count == 2 }
            #expect(recorder.events == [.made, .lost(.io(.noBufferSpace))])
            far.close()
        }
    }

    /// A connection that has ended already has a better error, or bytes that were not read.
    @Test(arguments: TestLoop.allAndFiltered)
    func endedConnectionIgnoresEOF(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            let (near, far) = try Socket.pair()
            let (transport, recorder) = try await loop.createConnection(to: .socket(near)) { Recorder() }
            loop.injectFaults { $0 == .shutdownWrite ? .fails(.socketNotConnected) : nil }
            transport.writeEOF()
            #expect(Array("last words".utf8).withUnsafeBytes { far.send($0) } == .bytes(10))
            await loop.until { recorder.events.count == 2 }
            #expect(recorder.events == [.made, .data("last words")])
            far.close()
            await loop.until { recorder.events.count == 4 }
            #expect(recorder.events == [.made, .data("last words"), .end, .lost(nil)])
        }
    }

    /// The server listened on an address that it did not know.
    // covers: F66
    @Test(arguments: TestLoop.all)
    func serverNeedsItsAddress(kind: TestLoop) async throws {
        try await withVirtualLoop(kind) { loop in
            var failing = 0
            for call in 1...2 {
                var calls = 0
                loop.injectFaults { name in
                    guard name == .localAddress else { return nil }
                    calls += 1
                    return calls == call ? .fails(.noBufferSpace) : nil
                }
                do {
                    try await loop.createServer(host: "127.0.0.1", port: 0) { Recorder() }.close()
                } catch let error as IOError where error.errno == .noBufferSpace {
                    failing += 1
                }
            }
            #expect(failing == 2)
            #expect(loop.statistics.sources == 0)
        }
    }
}
