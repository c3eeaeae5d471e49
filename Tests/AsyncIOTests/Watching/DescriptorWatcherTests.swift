import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// Which descriptors can be watched, and what happens to watchers when descriptors are closed.
struct DescriptorWatcherTests {
    // covers: 120
    @Test(arguments: TestLoop.all)
    func watchingRejectsInvalidAndClosedDescriptors(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for number: CInt in [-1, .min] {
                let descriptor = FileDescriptor(rawValue: number)
                #expect(code { try loop.addReader(descriptor) {} } == .invalidArgument)
                #expect(code { try loop.addWriter(descriptor) {} } == .invalidArgument)
                #expect(await asyncCode { try await loop.waitReadable(descriptor) } == .invalidArgument)
                #expect(await asyncCode { try await loop.waitWritable(descriptor) } == .invalidArgument)
            }
            // Numbers that no test opens.
            for number: CInt in [CInt.max, 60_000, 70_000] {
                let closed = FileDescriptor(rawValue: number)
                if loop.descriptorLimit.map({ number >= $0 }) == true {
                    #expect(code { try loop.addReader(closed) {} } == .tooManyDescriptors)
                    #expect(await asyncCode { try await loop.waitWritable(closed) } == .tooManyDescriptors)
                } else {
                    let error = #expect(throws: IOError.self) { try loop.addReader(closed) {} }
                    #expect(error?.operation == "watch descriptor \(number)")
                    await #expect(throws: IOError.self) { try await loop.waitWritable(closed) }
                }
                #expect(!loop.removeReader(closed))
            }
            #expect(loop.statistics.sources == 0)
            #expect(loop.statistics.waitingTasks == 0)
        }
    }

    // covers: 120
    @Test(arguments: TestLoop.all)
    func regularFileIsReadyOrRefused(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let file = try FileDescriptor.open(#filePath, .readOnly)
            var calls = 0
            do {
                try loop.addReader(file) { calls += 1 }
                await loop.until { calls > 0 }
                #expect(loop.removeReader(file))
            } catch let error as IOError {
                #expect(error.errno == .notPermitted)
                #expect(!loop.removeReader(file))
            }
            #expect(loop.statistics.sources == 0)
            try file.close()
        }
    }

    // covers: 118
    @Test(arguments: TestLoop.all)
    func addReaderRejectsTheDescriptorOfATransport(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            try await withStreamPair(on: loop) { writer, _ in
                let socket = writer.transport.driver.channel.socket
                let descriptor = socket.descriptor
                #expect(code { try loop.addReader(descriptor) {} } == .descriptorInUse)
                #expect(code { try loop.addWriter(descriptor) {} } == .descriptorInUse)
                #expect(await asyncCode { try await loop.waitReadable(descriptor) } == .descriptorInUse)
                #expect(await asyncCode { _ = try await loop.sock.recv(socket, maxBytes: 1) } == .descriptorInUse)
                #expect(await asyncCode { _ = try await loop.sock.accept(socket) } == .descriptorInUse)
                #expect(code { try loop.sock.close(socket) } == .descriptorInUse)
                #expect(!loop.removeReader(descriptor))
            }
        }
    }

    // covers: 118
    @Test(arguments: TestLoop.all)
    func descriptorInUseErrorNamesTheUser(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            func refusal(_ socket: TransportSocket) throws -> String? {
                let descriptor = try #require(socket.descriptor)
                return #expect(throws: EventLoopError.self) { try loop.addReader(descriptor) {} }?.description
            }
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let address = "127.0.0.1:\(server.port)"
            #expect(
                try refusal(server.sockets[0])?.hasSuffix(" is used on this loop by a server on \(address)") == true)
            let (transport, _) = try await loop.createConnection(host: "127.0.0.1", port: server.port) {
                EchoProtocol()
            }
            #expect(try refusal(transport.socket)?.hasSuffix(" by a connection with \(address)") == true)
            transport.abort()
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func failedRegistrationLeavesNothing(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let loop = network.loop
            let (end, peer) = try Socket.pair()
            network.failsNextSubmission(with: .noSpace)
            let error = #expect(throws: IOError.self) { try loop.addReader(end.descriptor) {} }
            #expect(error?.errno == .noSpace)
            #expect(loop.statistics.sources == 0)
            var reads = 0
            try loop.addReader(end.descriptor) { reads += 1 }
            network.failsNextSubmission(with: .noMemory)
            #expect(throws: IOError.self) { try loop.addWriter(end.descriptor) {} }
            network.failsNextSubmission(with: .noMemory)
            await #expect(throws: IOError.self) { try await loop.waitWritable(end.descriptor) }
            #expect(loop.statistics.waitingTasks == 0)
            // The former registration stays, and reports the byte in each iteration.
            sendByte(peer)
            await loop.until { reads == 3 }
            #expect(loop.removeReader(end.descriptor))
            #expect(!loop.removeWriter(end.descriptor))
            #expect(loop.statistics.sources == 0)
            end.close()
            peer.close()
        }
    }

    // covers: 121
    @Test(arguments: TestLoop.all)
    func manyDescriptorsAreWatchedClosedAndRemovedInOneIteration(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var calls = 0
            for round in 0..<20 {
                for _ in 0..<50 {
                    let (end, peer) = try Socket.pair()
                    try loop.addReader(end.descriptor) { calls += 1 }
                    try loop.addWriter(end.descriptor) { calls += 1 }
                    sendByte(peer)
                    // In both orders. The second order is a mistake, which must not harm others.
                    if round % 2 == 0 {
                        loop.removeReader(end.descriptor)
                        loop.removeWriter(end.descriptor)
                        end.close()
                    } else {
                        end.close()
                        #expect(loop.removeReader(end.descriptor))
                        #expect(loop.removeWriter(end.descriptor))
                    }
                    peer.close()
                }
                await loop.yield()
            }
            #expect(calls == 0)
            #expect(loop.statistics.sources == 0)
            try await withEchoConnection(on: loop) { reader, writer in
                try await writer.write("still here")
                #expect(try await reader.readExactly(10).count == 10)
            }
        }
    }

    // covers: 121
    @Test(arguments: TestLoop.all)
    func transportEndsStaleWatchersOfItsNumber(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (end, peer) = try Socket.pair()
            final class Captured {}
            var captured: Captured? = Captured()
            weak let observed = captured
            try loop.addReader(end.descriptor) { [captured] in withExtendedLifetime(captured) {} }
            captured = nil
            let waiting = loop.createTask { try await loop.waitWritable(peer.descriptor) }
            end.close()
            // The lowest number is the next one, unless another test was faster.
            let (again, third) = try Socket.pair()
            if again.number == end.number {
                let driver = try loop.makeStreamDriver(ByteChannel(again))
                #expect(observed == nil)
                driver.close()
            } else {
                again.close()
                loop.removeReader(end.descriptor)
            }
            try await waiting.value
            third.close()
            peer.close()
            #expect(loop.statistics.sources == 0)
        }
    }

    @Test(arguments: TestLoop.all)
    func reopenedDescriptorCanBeWatchedAnew(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let warnings = Warnings()
            loop.debug.warningHandler = warnings.add
            try await withSockets { end, peer in
                let (other, otherPeer) = try Socket.pair()
                try loop.addReader(other.descriptor) {}
                // Another file has the same number, so the kernel's registration is gone.
                #expect(dup2(end.number, other.number) == other.number)
                var reads = 0
                var writes = 0
                try loop.addWriter(other.descriptor) { writes += 1 }
                try loop.addReader(other.descriptor) { reads += 1 }
                sendByte(peer)
                await loop.until { reads > 0 && writes > 0 }
                #expect(loop.removeReader(other.descriptor))
                #expect(loop.removeWriter(other.descriptor))
                other.close()
                otherPeer.close()
            }
            // The number was closed while the loop watched it.
            #expect(warnings.all.map(\.kind) == (loop.backendName == "epoll" ? [.closedDescriptor] : []))
        }
    }
}
