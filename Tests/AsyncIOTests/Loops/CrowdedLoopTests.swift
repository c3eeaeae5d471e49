import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// Many connections at once that the loop cannot serve at once, on each kind of loop.
///
/// `ASYNCIO_LOAD=full swift test -c release --filter CrowdedLoop` runs the full size: 8,000 connections during a
/// callback of two seconds, and 1 GiB beside 300 connections that nobody reads.
@Suite(.serialized) struct CrowdedLoopTests {
    /// Without select(2), which cannot watch as many descriptors as the full size has.
    private static let loops = TestLoop.all.filter { !isFullLoad || $0.name != "select" }

    // covers: 328, 333, 336
    @Test(arguments: loops)
    func connectionsThatSendDuringACallbackAreAllAnswered(kind: TestLoop) async throws {
        let count = isFullLoad ? 8_000 : 200
        let blocking = isFullLoad ? 2.0 : 0.1
        raiseDescriptorLimit()
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(isFullLoad ? 120 : 30))) { loop in
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let crowd = Crowd(server.address, count)
            let isDone = Flag()
            let thread = OtherThread {
                crowd.connect()
                for _ in 0..<5 {
                    let isBlocked = Flag()
                    _ = try? loop.callSoonThreadsafe {
                        isBlocked.set()
                        Thread.sleep(forTimeInterval: blocking)
                    }
                    while !isBlocked.isSet { usleep(100) }
                    crowd.sendByteEach()
                    crowd.receiveByteEach()
                }
                crowd.close()
                isDone.set()
            }
            while !isDone.isSet { try await loop.sleep(for: .milliseconds(5)) }
            thread.join()
            #expect(crowd.answered == Array(repeating: count, count: 5))
            #expect(crowd.problem == nil)
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 332, 336
    @Test(arguments: TestLoop.all)
    func connectionsThatNobodyReadsDoNotStopTheOthers(kind: TestLoop) async throws {
        let count = isFullLoad ? 300 : 30
        let bulkMebibytes = isFullLoad ? 1024 : 16
        raiseDescriptorLimit()
        try await withLoop(kind, LoopTestOptions(timeLimit: .seconds(isFullLoad ? 120 : 30))) { loop in
            let totals = ReadTotals()
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                var first = [UInt8](repeating: 0, count: 1)
                _ = try await reader.read(into: &first)
                if first == [UInt8(ascii: "n")] {
                    totals.neglected += 1
                    while !totals.mayRead { try await loop.sleep(for: .milliseconds(10)) }
                }
                var stream = PatternBytes(1)
                while let chunk = try await reader.readChunk() {
                    let isWhole = chunk.withUnsafeBytes { stream.check($0) }
                    if !isWhole { totals.problem = "other bytes at \(stream.position)" }
                }
                if first == [UInt8(ascii: "n")] { totals.counts.append(stream.position) }
                try await writer.write([1])
                writer.close()
            }
            let address = server.address
            let bulk = BulkClient(address, mebibytes: bulkMebibytes)
            // Once before, because the first connection meets cold memory.
            try await bulk.run(on: loop)
            let lone = try await bulk.run(on: loop)
            let waiting = WaitingClients(address, count)
            while totals.neglected < count { try await loop.sleep(for: .milliseconds(5)) }
            let beside = try await bulk.run(on: loop)
            let loneAfter = try await bulk.run(on: loop)
            if isFullLoad {
                print(
                    "\(kind): alone \(lone), beside \(count) connections \(beside), again \(loneAfter) seconds for "
                        + "\(bulkMebibytes) MiB: \(Int(100 * lone / beside)) % of the rate alone")
                #expect(lone / beside >= 0.7)
            }
            #expect(totals.counts.isEmpty)
            // Then nothing is lost.
            totals.mayRead = true
            while totals.counts.count < count { try await loop.sleep(for: .milliseconds(5)) }
            #expect(totals.counts == Array(repeating: WaitingClients.byteCount, count: count))
            for problem in [totals.problem, bulk.problem, waiting.problem] { #expect(problem == nil) }
            waiting.close()
            await loop.until { server.connectionCount == 0 }
            server.close()
        }
    }
}

/// What the server's tasks have read. All of them run on the loop's thread.
private final class ReadTotals: @unchecked Sendable {
    var neglected = 0
    var mayRead = false
    var counts: [Int] = []
    var problem: String?
}

/// Bytes that repeat after 251, so that their order can be checked.
private struct PatternBytes {
    private static let period = 251
    static let piece = (0..<(1 << 18) + period).map { UInt8($0 % period) }
    private(set) var position = 0
    private let first: Int

    /// - Parameter first: How many bytes come before these.
    init(_ first: Int) { self.first = first }

    mutating func check(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let offset = (first + position) % Self.period
        position += bytes.count
        return Self.piece.withUnsafeBytes { memcmp($0.baseAddress! + offset, bytes.baseAddress!, bytes.count) == 0 }
    }
}

extension Socket {
    /// A socket that blocks, connected to `address`.
    fileprivate static func blocking(_ address: SocketAddress) throws -> Socket {
        let socket = try Socket.stream(for: address)
        try socket.setNonBlocking(false)
        _ = try socket.connect(to: address)
        return socket
    }

    /// Sends everything. Returns false if the peer has gone.
    fileprivate func sendWhole(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var sent = 0
        while sent < bytes.count {
            switch send(UnsafeRawBufferPointer(rebasing: bytes[sent...])) {
            case .bytes(let count): sent += count
            case .wouldBlock:
                var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
                _ = poll(&entry, 1, -1)
            case .failed: return false
            }
        }
        return true
    }
}

/// Clients that each send a byte and wait for it.
private final class Crowd: @unchecked Sendable {
    private let address: SocketAddress
    private let count: Int
    private var clients: [Socket] = []
    private(set) var answered: [Int] = []
    private(set) var problem: String?

    init(_ address: SocketAddress, _ count: Int) {
        self.address = address
        self.count = count
    }

    func connect() {
        do {
            for _ in 0..<count { clients.append(try Socket.blocking(address)) }
        } catch {
            problem = "connect: \(error)"
        }
    }

    func sendByteEach() { for client in clients { sendByte(client) } }

    /// Waits for half a minute at most.
    func receiveByteEach() {
        var number = 0
        for client in clients {
            var entry = pollfd(fd: client.number, events: Int16(POLLIN), revents: 0)
            var byte: UInt8 = 0
            guard poll(&entry, 1, 30_000) == 1,
                withUnsafeMutableBytes(of: &byte, { client.receive(into: $0) }) == .bytes(1)
            else {
                problem = "no answer"
                break
            }
            number += 1
        }
        answered.append(number)
    }

    func close() {
        for client in clients {
            client.resetOnClose()
            client.close()
        }
    }
}

/// A client that sends many bytes, and waits until the server has read them all.
private final class BulkClient: @unchecked Sendable {
    private let address: SocketAddress
    private let byteCount: Int
    private(set) var problem: String?

    init(_ address: SocketAddress, mebibytes: Int) {
        self.address = address
        byteCount = mebibytes << 20
    }

    /// Returns the time in seconds.
    @discardableResult func run(on loop: EventLoop) async throws -> Double {
        let isDone = Flag()
        let begin = ContinuousClock.now
        let thread = OtherThread { [self] in
            send()
            isDone.set()
        }
        while !isDone.isSet { try await loop.sleep(for: .milliseconds(2)) }
        thread.join()
        return (ContinuousClock.now - begin) / .seconds(1)
    }

    private func send() {
        guard let socket = try? Socket.blocking(address) else {
            problem = "connect failed"
            return
        }
        defer { socket.close() }
        var sent = 0
        let period = 251
        // The first byte is "b", which no pattern begins with, but the others follow the pattern.
        guard [UInt8(ascii: "b")].withUnsafeBytes({ socket.sendWhole($0) }) else {
            problem = "send failed"
            return
        }
        sent = 1
        while sent < byteCount {
            let count = min(1 << 18, byteCount - sent)
            let isSent = PatternBytes.piece.withUnsafeBytes { bytes in
                socket.sendWhole(UnsafeRawBufferPointer(rebasing: bytes[sent % period..<sent % period + count]))
            }
            guard isSent else {
                problem = "send failed"
                return
            }
            sent += count
        }
        try? socket.shutdownWrite()
        waitUntilReadable(socket.descriptor)
        var byte: UInt8 = 0
        if withUnsafeMutableBytes(of: &byte, { socket.receive(into: $0) }) != .bytes(1) { problem = "no answer" }
    }
}

/// Clients whose bytes wait for somebody to read them.
private final class WaitingClients: @unchecked Sendable {
    static let byteCount = 256 << 10
    private var clients: [Socket] = []
    private var threads: [OtherThread] = []
    private(set) var problem: String?

    /// On another thread, because the loop has to accept meanwhile, and the kernel may not take all bytes at once.
    init(_ address: SocketAddress, _ count: Int) {
        threads = [
            OtherThread { [self] in
                do {
                    for _ in 0..<count { clients.append(try connect(address)) }
                } catch {
                    problem = "\(error)"
                }
                for client in clients { send(on: client) }
            }
        ]
    }

    private func connect(_ address: SocketAddress) throws -> Socket {
        let client = try Socket.stream(for: address)
        // So that everything waits in the kernel.
        try client.setOption(SocketOption(level: SOL_SOCKET, name: SO_SNDBUF), to: 1 << 20)
        try client.setNonBlocking(false)
        _ = try client.connect(to: address)
        return client
    }

    private func send(on client: Socket) {
        let isSent = PatternBytes.piece.withUnsafeBytes { bytes in
            [UInt8(ascii: "n")].withUnsafeBytes({ client.sendWhole($0) })
                && client.sendWhole(UnsafeRawBufferPointer(rebasing: bytes[1..<1 + Self.byteCount]))
        }
        if !isSent { problem = "send failed" }
        try? client.shutdownWrite()
    }

    func close() {
        for thread in threads { thread.join() }
        for client in clients { client.close() }
    }
}
