#if os(Linux)
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Glibc
import Proactors
import SystemPackage
import Testing

/// How a ring ends: with operations in flight, without a wait, on another thread, in a child, and with the process.
@Suite(ioUringTrait) struct IOUringClosingTests {
    // covers: 328, 330, 338, F25
    @Test(arguments: [false, true]) func closeEndsWhatIsInFlight(hasWaited: Bool) throws {
        let work = try UnfinishedWork()
        if hasWaited { _ = try work.proactor.completions() }
        try work.submitAll()
        if hasWaited { work.proactor.proactor.flush() }
        try work.causeEvents()
        let begin = MonotonicClock.now
        work.proactor.close()
        #expect(MonotonicClock.now.nanoseconds - begin.nanoseconds < 4_000_000_000)
        #expect(!work.proactor.proactor.hasUnfinishedOperations)
        // The accepted connection has nobody: its client gets EOF or a reset, at once or from the listener's queue.
        work.closeListener()
        waitUntilReadable(work.client.descriptor)
        #expect(work.client.receiveBytes(1).isEmpty)
        work.end()
    }

    // covers: 338
    @Test func afterCloseNothingCanBeDone() throws {
        let proactor = try IOUringProactor()
        let (near, far) = try Socket.pair()
        proactor.close()
        proactor.close()
        var events: [Completion] = []
        #expect(throws: Errno.badFileDescriptor) { try proactor.wait(timeoutNanoseconds: 0, into: &events) }
        #expect(throws: Errno.badFileDescriptor) {
            try proactor.submit(.poll(near.descriptor, for: .read), token: 1)
        }
        proactor.cancel(.poll, token: 1)
        proactor.flush()
        #expect("\(proactor)" == "<IOUringProactor, closed>")
        for socket in [near, far] { socket.close() }
    }

    // covers: 338
    @Test func ringThatEndsOnAnotherThreadLeavesTheRingsOfThatThreadAlone() throws {
        // A number of the kernel's table of this thread stands for a ring. The other thread has the same numbers.
        let foreign = ForeignRing()
        try OtherThread.run { try foreign.open() }
        let own = try DirectProactor(.ioUring)
        #expect(try own.completions() == [])
        foreign.close()
        let (near, far) = try Socket.pair()
        let token = try own.submit(.poll(near.descriptor, for: .write))
        #expect(try own.completions(1).map(\.token) == [token])
        for socket in [near, far] { socket.close() }
        own.close()
    }

    // covers: 338
    @Test func closingReturnsAllBuffers() throws {
        for round in 0..<20 {
            let proactor = try DirectProactor(.ioUring)
            let (near, far) = try Socket.pair()
            for size in [BufferPool.Size.small, .medium, .large] {
                try proactor.submit(.receiveIntoPool(from: near, size: size))
            }
            if round % 2 == 0 { _ = try proactor.completions() }
            _ = far.sendBytes([UInt8](repeating: 1, count: 100_000))
            proactor.proactor.flush()
            proactor.close()
            for socket in [near, far] { socket.close() }
            // As many as were provided.
            #expect(proactor.proactor.buffers.retainedCounts == [64, 16, 8])
        }
    }

    // covers: 338
    @Test(.startsProcess, arguments: [false, true]) func processEndsWithOperationsInFlight(hasWaited: Bool) async {
        await #expect(processExitsWith: .exitCode(7)) { [hasWaited] in
            let work = try UnfinishedWork()
            if hasWaited { _ = try work.proactor.completions() }
            try work.submitAll()
            work.proactor.proactor.flush()
            try work.causeEvents()
            exit(7)
        }
    }

    // covers: 338
    @Test(.startsProcess) func childCanUseNothingAndTheParentGoesOn() throws {
        let proactor = try IOUringProactor()
        let twin = try IOUringProactor()
        let (near, far) = try Socket.pair()
        var events: [Completion] = []
        for ring in [proactor, twin] {
            try ring.submit(.receiveIntoPool(from: near, size: .small), token: 1)
            try ring.wait(timeoutNanoseconds: 0, into: &events)
        }
        let places = try ringAddresses()
        try #require(!places.isEmpty)
        // Once before, so that the child need not look anything up: another thread may hold the runtime's locks.
        _ = mistakes(of: twin, near, [])
        let child = fork()
        // Nothing but system calls and this: the other threads, and what they hold, are gone.
        if child == 0 { _exit(mistakes(of: proactor, near, places)) }
        try #require(child > 0)
        var status: CInt = -1
        while waitpid(child, &status, 0) < 0 && Glibc.errno == EINTR {}
        #expect(status == 0)
        events = []
        #expect(far.sendNow("parent") == 6)
        try proactor.wait(timeoutNanoseconds: 60_000_000_000, into: &events)
        #expect(events.map(\.result) == [6])
        for buffer in events.compactMap(\.buffer) { proactor.buffers.put(buffer.memory, buffer.size) }
        proactor.close()
        for socket in [near, far] { socket.close() }
    }

    /// What a ring of a parent does in its child and should not, as bits. Closes it. Memory that the child has mapped
    /// where the ring was in the parent stays mapped.
    private func mistakes(of proactor: IOUringProactor, _ near: Socket, _ places: [UInt]) -> CInt {
        var wrong: CInt = 0
        for place in places where !mapPage(at: place) { wrong |= 1 }
        var events: [Completion] = []
        do throws(Errno) {
            try proactor.wait(timeoutNanoseconds: 0, into: &events)
            wrong |= 2
        } catch {
            if error != .badFileDescriptor { wrong |= 2 }
        }
        do throws(Errno) {
            try proactor.submit(.poll(near.descriptor, for: .read), token: 9)
            wrong |= 4
        } catch {
            if error != .badFileDescriptor { wrong |= 4 }
        }
        proactor.cancel(.receiveIntoPool, token: 1)
        proactor.flush()
        proactor.close()
        if proactor.hasUnfinishedOperations { wrong |= 8 }
        for place in places where !isMapped(place) { wrong |= 16 }
        return wrong
    }

    private func mapPage(at place: UInt) -> Bool {
        let page = UnsafeMutableRawPointer(bitPattern: place)
        return mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page
    }

    private func isMapped(_ place: UInt) -> Bool {
        msync(UnsafeMutableRawPointer(bitPattern: place), 4096, MS_ASYNC) == 0
    }

    /// Where the rings of this process are.
    private func ringAddresses() throws -> [UInt] {
        // Read piece by piece, because the file has no size.
        let file = try FileDescriptor.open("/proc/self/maps", .readOnly)
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while case let count = try piece.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
            text += piece[..<count]
        }
        try file.close()
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
            .filter { $0.contains("io_uring") }
            .compactMap { $0.split(separator: "-").first.flatMap { UInt($0, radix: 16) } }
    }

    // covers: F31
    @Test(.enabled(if: geteuid() == 0, "only root has privileges to give up"))
    func operationsHaveThePrivilegesOfTheirSubmission() throws {
        try withTemporaryPath { path in
            let file = try FileDescriptor.open(path, .readWrite, options: [.create], permissions: .ownerReadWrite)
            try file.close()
            let results = try OtherThread.run {
                let proactor = try DirectProactor(.ioUring)
                let before = try proactor.result(of: .open(path, .readOnly))
                // The system call itself, which concerns only this thread.
                typealias Call = @convention(c) (CLong, CLong, CLong, CLong) -> CLong
                let call = unsafeBitCast(dlsym(nil, "syscall"), to: Call.self)
                #if arch(x86_64)
                let number = 117
                #else
                let number = 147
                #endif
                let changed = call(number, -1, 65_534, -1)
                let after = try proactor.result(of: .open(path, .readOnly))
                proactor.close()
                return [Int(changed), before, after]
            }
            #expect(results[0] == 0)
            #expect(results[1] >= 0)
            #expect(results[2] == failure(.permissionDenied))
            _ = aio_close(CInt(results[1]))
        }
    }
}

/// A ring that one thread opens and another one closes.
private final class ForeignRing: @unchecked Sendable {
    private var proactor: IOUringProactor?

    func open() throws {
        var events: [Completion] = []
        proactor = try IOUringProactor()
        try proactor?.wait(timeoutNanoseconds: 0, into: &events)
    }

    func close() { proactor = nil }
}

/// Operations of all kinds that wait, some of which are done when the events have happened.
final class UnfinishedWork {
    let proactor: DirectProactor
    let client: Socket
    private let pairs: [(near: Socket, far: Socket)]
    private let listener: Socket
    private let address: SocketAddress
    private let pipe: (read: CInt, write: CInt)
    private let bytes = SentBytes(String(repeating: "x", count: 1_000))
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
    private var isListening = true

    init() throws {
        proactor = try DirectProactor(.ioUring)
        pairs = try (0..<6).map { _ in try Socket.pair() }
        (listener, address) = try SocketPlace.ipv4.listen()
        client = try Socket.stream(.ipv4)
        var numbers: [CInt] = [-1, -1]
        try #require(aio_pipe(&numbers) == 0)
        pipe = (numbers[0], numbers[1])
    }

    func submitAll() throws {
        pairs[4].near.fillSendBuffer()
        try proactor.submit(.receiveIntoPool(from: pairs[0].near, size: .small))
        try proactor.submit(.receiveIntoPool(from: pairs[1].near, size: .medium))
        try proactor.submit(.receiveIntoPool(from: pairs[2].near, size: .large))
        try proactor.submit(.poll(pairs[3].near.descriptor, for: .read))
        try proactor.submit(.send(bytes.bytes, on: pairs[4].near))
        try proactor.submit(.receive(from: pairs[5].near, into: UnsafeMutableRawBufferPointer(rebasing: memory[..<32])))
        try proactor.submit(.accept(on: listener))
        try proactor.submit(
            .read(
                from: FileDescriptor(rawValue: pipe.read), into: UnsafeMutableRawBufferPointer(rebasing: memory[32...]))
        )
        // Connects nobody, because nothing listens there.
        try proactor.submit(.poll(listener.descriptor, for: .write))
    }

    func causeEvents() throws {
        for pair in pairs[..<2] { _ = pair.far.sendNow("arrives") }
        _ = try client.connect(to: address)
    }

    func closeListener() {
        if isListening { listener.close() }
        isListening = false
    }

    func end() {
        closeListener()
        client.close()
        for (near, far) in pairs {
            near.close()
            far.close()
        }
        _ = aio_close(pipe.read)
        _ = aio_close(pipe.write)
        memory.deallocate()
    }
}
#endif
