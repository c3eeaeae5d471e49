#if os(Linux)
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Glibc
import Proactors
import SystemPackage
import Testing

/// Operations that are cancelled while the event happens that completes them: each completes exactly once, no byte and
/// no descriptor is lost, and every buffer comes back.
///
/// `ASYNCIO_LOAD=full scripts/sanitize address --filter CancelRace` runs 50,000 rounds of each.
@Suite(ioUringTrait, .serialized) struct CancelRaceTests {
    private let rounds = AsyncIOTests.rounds(debug: 500, full: 50_000)
    private static let sizes: [BufferPool.Size] = [.small, .medium, .large]

    // covers: 328, 330, 331, F25
    @Test(arguments: sizes, [false, true])
    func receivesIntoThePoolLoseNoByteAndNoBuffer(size: BufferPool.Size, byThread: Bool) throws {
        let race = try Race(seed: 1)
        let (near, far) = try Socket.pair()
        // Fewer than the pool retains, so that a buffer is missed that is lost, and one that is returned twice.
        let spare = size == .large ? 2 : size == .medium ? 8 : 32
        let receiver = PoolReceiver(race, near, size, spare: spare)
        let sender = PatternSender(far)
        let thread = byThread ? RacingThread { _ in sender.send() } : nil
        for _ in 0..<rounds {
            sender.nextCount = race.random(1..<(race.random(0..<8) == 0 ? 100_000 : 200))
            let found = try race.round(.receiveIntoPool(from: near, size: size)) {
                if let thread { race.cause(by: thread) } else { sender.send() }
            }
            thread?.wait()
            receiver.take(found)
        }
        thread?.stop()
        // What the last cancellation has left.
        far.close()
        while true {
            let token = try race.ring.submit(.receiveIntoPool(from: near, size: size))
            let found = try race.ring.all(of: token)
            receiver.take(found)
            if found.last?.result == 0 { break }
        }
        #expect(receiver.position == sender.position)
        near.close()
        race.end(rounds)
    }

    // covers: 328, 330, 331, F25
    @Test(arguments: [SocketPlace.unix, .ipv4], [false, true])
    func acceptsLoseNoClient(place: SocketPlace, byThread: Bool) throws {
        let race = try Race(seed: 2)
        let (listener, address) = try place.listen(backlog: 64)
        let clients = ConnectingClients(address)
        let thread = byThread ? RacingThread { _ in clients.connect() } : nil
        var accepted: [Socket] = []
        func take(_ found: [Completion]) {
            for completion in found {
                if completion.result >= 0 {
                    accepted.append(Socket(number: CInt(completion.result)))
                } else if completion.result != failure(.canceled), completion.result != failure(.wouldBlock) {
                    race.fail("\(completion)")
                }
            }
        }
        for _ in 0..<rounds {
            take(
                try race.round(.accept(on: listener)) {
                    if let thread { race.cause(by: thread) } else { clients.connect() }
                })
            thread?.wait()
            // Those that the accept did not get are in the kernel's queue.
            while let (connection, _) = try listener.accept() { accepted.append(connection) }
            if let problem = clients.match(&accepted) { race.fail(problem) }
        }
        thread?.stop()
        listener.close()
        address.unlinkFile()
        race.end(rounds)
    }

    // covers: 328, 329, 330
    @Test(arguments: [false, true])
    func connectsCompleteOnce(byThread: Bool) throws {
        let race = try Race(seed: 3)
        let (listener, address) = try SocketPlace.ipv4.listen(backlog: 64)
        let full = try FullListener()
        // Accepts in the meantime, and resets the connections, so that no port stays in use.
        @Sendable func drain() {
            while let (connection, _) = (try? listener.accept()) ?? nil {
                connection.resetOnClose()
                connection.close()
            }
        }
        let thread = byThread ? RacingThread { _ in drain() } : nil
        for _ in 0..<rounds {
            let client = try Socket.stream(.ipv4)
            let isFull = race.random(0..<4) == 0
            let found = try race.round(.connect(client, to: isFull ? full.address : address)) {
                if let thread { race.cause(by: thread) } else { drain() }
            }
            thread?.wait()
            switch found.last?.result {
            case 0: if isFull { race.fail("connected to nobody") }
            case failure(.canceled), failure(.interrupted), failure(.connectionReset): break
            default: race.fail("\(found)")
            }
            client.resetOnClose()
            client.close()
        }
        thread?.stop()
        listener.close()
        full.close()
        race.end(rounds)
    }

    // covers: 328, 329, 330, 335
    @Test(arguments: [false, true])
    func sendsSendWhatTheyReport(byThread: Bool) throws {
        let race = try Race(seed: 4)
        let (near, far) = try Socket.pair()
        try near.setOption(SocketOption(level: SOL_SOCKET, name: SO_SNDBUF), to: 16_384)
        let reader = PatternReader(far)
        let thread = byThread ? RacingThread { _ in reader.read() } : nil
        var sent = PatternStream()
        for _ in 0..<rounds {
            let count = race.random(1..<(race.random(0..<2) == 0 ? 100_000 : 200))
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
            sent.peek(count) { memory.copyMemory(from: $0) }
            let found = try race.round(.send(UnsafeRawBufferPointer(memory), on: near)) {
                if let thread { race.cause(by: thread) } else { reader.read() }
            }
            // The kernel must not read this any more.
            memoryIsFree(memory)
            thread?.wait()
            let result = found.last?.result ?? 0
            if result >= 0 { sent.advance(result) } else if result != failure(.canceled) { race.fail("\(found)") }
            if found.count != 1 { race.fail("\(found)") }
            if race.random(0..<3) == 0 { reader.read() }
        }
        thread?.stop()
        reader.read()
        #expect(reader.problem == nil)
        #expect(reader.position == sent.position)
        for socket in [near, far] { socket.close() }
        race.end(rounds)
    }

    // covers: 328
    @Test(arguments: [Interest.read, .write, [.read, .write]], [false, true])
    func pollsReportTheLevelOrTheirCancellation(interest: Interest, byThread: Bool) throws {
        let race = try Race(seed: 5)
        let (near, far) = try Socket.pair()
        if interest.contains(.write) { _ = near.fillSendBuffer() }
        let isRead = interest == .read
        @Sendable func event() {
            if isRead { sendByte(far) } else { _ = far.receiveBytes(1 << 20) }
        }
        let thread = byThread ? RacingThread { _ in event() } : nil
        for _ in 0..<rounds {
            let found = try race.round(.poll(near.descriptor, for: interest)) {
                if let thread { race.cause(by: thread) } else { event() }
            }
            thread?.wait()
            if found.count != 1 { race.fail("\(found)") }
            let result = found.last?.result ?? 0
            if result >= 0 {
                let readiness = Readiness(rawValue: UInt8(truncatingIfNeeded: result))
                if readiness.isDisjoint(with: Readiness(interest)) { race.fail("\(readiness)") }
            } else if result != failure(.canceled) {
                race.fail("\(found)")
            }
            if isRead { _ = near.receiveBytes(100) } else { _ = near.fillSendBuffer() }
        }
        thread?.stop()
        for socket in [near, far] { socket.close() }
        race.end(rounds)
    }

    // covers: 328, 337
    @Test(.expectsReleasedFiles) func pollThatIsCancelledReleasesTheFileAtOnce() throws {
        let race = try Race(seed: 6)
        for _ in 0..<rounds {
            let (near, far) = try Socket.pair()
            let token = try race.ring.submit(.poll(near.descriptor, for: .read))
            if race.random(0..<2) == 0 { race.ring.proactor.flush() }
            if race.random(0..<3) == 0 { sendByte(far) }
            race.ring.cancel(.poll, token)
            near.close()
            let isReleased = becomesTrue { isHungUp(far) }
            far.close()
            try #require(isReleased)
            if try race.ring.all(of: token).count != 1 { race.fail("not one completion") }
        }
        race.end(rounds, bothHappen: false)
    }
}

/// Frees memory that nothing may read or write any more. Its contents change, so that a late access is noticed.
func memoryIsFree(_ memory: UnsafeMutableRawBufferPointer) {
    memory.initializeMemory(as: UInt8.self, repeating: 0xff)
    memory.deallocate()
}

/// Sends a pattern.
private final class PatternSender: @unchecked Sendable {
    private let socket: Socket
    private var stream = PatternStream()
    /// Set by the test while no event is in progress.
    var nextCount = 0

    init(_ socket: Socket) { self.socket = socket }

    var position: Int { stream.position }

    func send() { stream.send(nextCount, on: socket) }
}

/// Checks a pattern that arrives in a socket.
private final class PatternReader: @unchecked Sendable {
    private let socket: Socket
    private var stream = PatternStream()
    private(set) var problem: String?

    init(_ socket: Socket) { self.socket = socket }

    var position: Int { stream.position }

    func read() {
        while true {
            let bytes = socket.receiveBytes(1 << 18)
            if bytes.isEmpty { return }
            let before = stream.position
            if !bytes.withUnsafeBytes({ stream.matches($0) }) { problem = "other bytes from \(before) on" }
        }
    }
}

/// Checks a pattern that arrives in buffers of the pool, and counts the buffers.
private final class PoolReceiver {
    private let race: Race
    private let size: BufferPool.Size
    private let spare: Int
    private var stream = PatternStream()

    init(_ race: Race, _ socket: Socket, _ size: BufferPool.Size, spare: Int) {
        self.race = race
        self.size = size
        self.spare = spare
        // Creates the ring of buffers, so that the pool is empty.
        if let token = try? race.ring.submit(.receiveIntoPool(from: socket, size: size)) {
            race.ring.cancel(.receiveIntoPool, token)
            _ = try? race.ring.all(of: token)
        }
        let buffers = (0..<spare).map { _ in race.pool.take(size) }
        for buffer in buffers { race.pool.put(buffer, size) }
    }

    var position: Int { stream.position }

    func take(_ found: [Completion]) {
        for (index, completion) in found.enumerated() {
            if completion.hasMore == (index == found.count - 1) { race.fail("\(found)") }
            guard let buffer = completion.buffer else {
                let result = completion.result
                let errors: [Errno] = [.canceled, .noBufferSpace, .wouldBlock]
                if result > 0 || result < 0 && !errors.map({ failure($0) }).contains(result) { race.fail("\(found)") }
                continue
            }
            if buffer.size != size || completion.result <= 0 || completion.result > size.byteCount {
                race.fail("\(completion)")
            }
            let before = stream.position
            if !stream.matches(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<completion.result])) {
                race.fail("other bytes from \(before) on")
            }
            race.pool.put(buffer.memory, buffer.size)
        }
        // What the next wait takes from the pool for the ring is what was returned.
        if (try? race.ring.completions()) != [] { race.fail("a completion after the last one") }
        if race.pool.retainedCounts[size.index] != spare { race.fail("\(race.pool.retainedCounts) after \(found)") }
    }
}

/// Clients that connect and send their number.
private final class ConnectingClients: @unchecked Sendable {
    private let address: SocketAddress
    private var count: UInt32 = 0
    private var waiting: [UInt32: Socket] = [:]
    private var problem: String?

    init(_ address: SocketAddress) { self.address = address }

    func connect() {
        do {
            let client = try Socket.stream(address.family)
            try client.setNonBlocking(false)
            guard try client.connect(to: address) else { throw Errno.nowInProgress }
            count += 1
            _ = withUnsafeBytes(of: count) { client.send($0) }
            waiting[count] = client
        } catch {
            problem = "connect failed: \(error)"
        }
    }

    /// Closes the accepted connections with their clients. Returns what is wrong.
    func match(_ accepted: inout [Socket]) -> String? {
        for connection in accepted {
            waitUntilReadable(connection.descriptor)
            let bytes = connection.receiveBytes(4)
            let number = bytes.count == 4 ? bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } : 0
            if !connection.closesOnExec || (try? connection.isNonBlocking()) != true {
                problem = "a descriptor without its flags"
            }
            if let client = waiting.removeValue(forKey: number) {
                client.resetOnClose()
                client.close()
            } else {
                problem = "no client \(number)"
            }
            connection.resetOnClose()
            connection.close()
        }
        accepted = []
        if !waiting.isEmpty { problem = "\(waiting.count) clients were not accepted" }
        return problem
    }
}
#endif
