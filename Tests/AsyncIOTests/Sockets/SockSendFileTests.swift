import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

struct SockSendFileTests {
    /// Sends a file with one socket and returns what arrives at the other one.
    private static func transfer(
        _ file: TestFile, _ loop: EventLoop, offset: Int64 = 0, maxBytes: Int? = nil
    ) async throws -> (sent: Int, received: [UInt8]) {
        let (client, server) = try await loop.connectedSockets()
        defer { server.close() }
        let sending = loop.createTask {
            defer { client.close() }
            return try await loop.sock.sendFile(client, file.descriptor, offset: offset, maxBytes: maxBytes)
        }
        var received: [UInt8] = []
        while true {
            let bytes = try await loop.sock.recv(server, maxBytes: 65_536)
            if bytes.isEmpty { break }
            received += bytes
        }
        return (try await sending.value, received)
    }

    // covers: 284
    @Test(arguments: TestLoop.all)
    func wholeFilesAndPartsAreSent(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let content = pattern(1_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            let parts: [(offset: Int, maxBytes: Int?, expected: Range<Int>)] = [
                (0, nil, 0..<1_000_000), (0, 5_000_000, 0..<1_000_000), (0, 1, 0..<1),
                (999_999, nil, 999_999..<1_000_000),
                (300_000, 400_000, 300_000..<700_000), (900_000, 200_000, 900_000..<1_000_000),
            ]
            for part in parts {
                let (sent, received) = try await Self.transfer(
                    file, loop, offset: Int64(part.offset), maxBytes: part.maxBytes)
                #expect(sent == part.expected.count)
                #expect(received == Array(content[part.expected]))
                #expect(try file.position() == Int64(part.expected.upperBound))
            }
            // Nothing is sent, and the position stays.
            for offset in [1_000_000, 2_000_000] {
                let (sent, received) = try await Self.transfer(file, loop, offset: Int64(offset))
                #expect(sent == 0 && received.isEmpty)
            }
            #expect(try file.position() == 1_000_000)
            let empty = try TestFile()
            defer { empty.close() }
            let (sent, received) = try await Self.transfer(empty, loop)
            #expect(sent == 0 && received.isEmpty)
            #expect(loop.statistics.sources == 0)
        }
    }

    // covers: 285
    @Test(arguments: TestLoop.all, [Errno.invalidArgument, .noFunction, .notSupported])
    func bytesAreCopiedWhereTheSystemCannotSendFiles(kind: TestLoop, error: Errno) async throws {
        try await withLoop(kind, patiently) { loop in
            let content = pattern(700_000)
            let file = try TestFile(content)
            defer { file.close() }
            loop.injectFaults { $0 == .sendFile ? .fails(error) : nil }
            let (sent, received) = try await Self.transfer(file, loop, offset: 1_000)
            #expect(sent == 699_000)
            #expect(received == Array(content[1_000...]))
            #expect(try file.position() == 700_000)

            let (client, server) = try await loop.connectedSockets()
            #expect(
                await asyncCode {
                    try await loop.sock.sendFile(client, file.descriptor, offset: 7, allowsCopying: false)
                } == .sendfileNotAvailable)
            #expect(try file.position() == 700_000)
            try await loop.sock.sendAll(client, [1])
            #expect(try await loop.sock.recv(server, maxBytes: 10) == [1])
            client.close()
            server.close()
        }
    }

    // covers: 289
    @Test(arguments: TestLoop.all)
    func everythingButARegularFileIsRejected(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (client, server) = try await loop.connectedSockets()
            let file = try TestFile([1, 2, 3])
            let (reading, writing) = try FileDescriptor.pipe()
            let folder = try FileDescriptor.open("/", .readOnly)
            let device = try FileDescriptor.open("/dev/zero", .readOnly)
            for other in [reading, writing, folder, device, server.descriptor] {
                let error = await #expect(throws: EventLoopError.self) {
                    try await loop.sock.sendFile(client, other)
                }
                #expect(error?.code == .invalidArgument)
                #expect(error?.description == "sendFile: descriptor \(other.rawValue) is not a regular file")
            }
            for (offset, maxBytes) in [(-1, nil), (0, 0), (0, -1), (.min, .min)] as [(Int64, Int?)] {
                #expect(
                    await asyncCode {
                        try await loop.sock.sendFile(client, file.descriptor, offset: offset, maxBytes: maxBytes)
                    } == .invalidArgument)
            }
            let closed = await #expect(throws: IOError.self) {
                try await loop.sock.sendFile(client, FileDescriptor(rawValue: -1))
            }
            #expect(closed?.errno == .badFileDescriptor)
            // A file that can only be written to.
            let output = try FileDescriptor.open("/dev/fd/\(file.descriptor.rawValue)", .writeOnly)
            let unreadable = await #expect(throws: IOError.self) { try await loop.sock.sendFile(client, output) }
            #expect(unreadable?.errno == .badFileDescriptor)
            try client.setNonBlocking(false)
            #expect(
                await asyncCode { try await loop.sock.sendFile(client, file.descriptor) } == .invalidArgument)
            for descriptor in [reading, writing, folder, device, output] { try descriptor.close() }
            file.close()
            client.close()
            server.close()
        }
    }

    // covers: 290
    @Test(arguments: TestLoop.all, [false, true])
    func cancelledOneLeavesTheSocketUsable(kind: TestLoop, isCopying: Bool) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, server) = try await loop.connectedSockets()
            let content = pattern(20_000_000)
            let file = try TestFile(content)
            defer { file.close() }
            if isCopying { loop.injectFaults { $0 == .sendFile ? .fails(.invalidArgument) : nil } }
            let sending = loop.createTask { try await loop.sock.sendFile(client, file.descriptor) }
            // The peer does not read.
            var position: Int64 = -1
            await loop.until { loop.statistics.sources == 1 }
            for _ in 0..<100 { await loop.yield() }
            sending.cancel()
            await #expect(throws: CancellationError.self) { try await sending.value }
            #expect(loop.statistics.sources == 0)
            position = try file.position()
            #expect(position > 0 && position < 20_000_000)

            // It says where to continue.
            let rest = loop.createTask { try await loop.sock.sendFile(client, file.descriptor, offset: position) }
            var received: [UInt8] = []
            while received.count < content.count { received += try await loop.sock.recv(server, maxBytes: 65_536) }
            #expect(try await rest.value == content.count - Int(position))
            #expect(received == content)
            client.close()
            server.close()
        }
    }

    // covers: 288
    @Test(arguments: TestLoop.all, [false, true])
    func peerThatClosesInTheMiddleIsAnError(kind: TestLoop, isCopying: Bool) async throws {
        try await withLoop(kind, patiently) { loop in
            let (client, server) = try await loop.connectedSockets()
            let file = try TestFile(pattern(20_000_000))
            defer { file.close() }
            if isCopying { loop.injectFaults { $0 == .sendFile ? .fails(.invalidArgument) : nil } }
            let sending = loop.createTask { try await loop.sock.sendFile(client, file.descriptor) }
            _ = try await loop.sock.recv(server, maxBytes: 65_536)
            server.close()
            let error = await #expect(throws: IOError.self) { try await sending.value }
            #expect([.brokenPipe, .connectionReset].contains(error?.errno))
            #expect(error?.operation.hasPrefix("send a file to") == true)
            #expect(try file.position() > 0)
            // Again, when the connection is known to be broken: no SIGPIPE ends the process.
            await #expect(throws: IOError.self) { try await loop.sock.sendFile(client, file.descriptor) }
            client.close()
        }
    }

    // covers: 291, F67
    @Test(arguments: TestLoop.all)
    func partBeyondTwoGibibytesIsExact(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let tail = pattern(100_000)
            let size: Int64 = 5 << 30
            let file = try TestFile(byteCount: size, endingWith: tail)
            defer { file.close() }
            let (sent, received) = try await Self.transfer(file, loop, offset: size - 100_000)
            #expect(sent == 100_000 && received == tail)
            #expect(try file.position() == size)
            let (part, zeros) = try await Self.transfer(file, loop, offset: (1 << 31) - 7, maxBytes: 14)
            #expect(part == 14 && zeros == [UInt8](repeating: 0, count: 14))
            #expect(try file.position() == (1 << 31) + 7)
        }
    }
}
