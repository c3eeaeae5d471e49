import AsyncIO
import CAsyncIO
import SystemPackage

/// The checks of ``checkWatchers(_:_:)``.
struct WatcherChecks: Sendable {
    var all: [LoopCheck] {
        [
            LoopCheck("a reader is called while there are bytes") { loop in try await readers(on: loop) },
            LoopCheck("a writer is called while there is room") { loop in try await writers(on: loop) },
            LoopCheck("a reader and a writer of one descriptor") { loop in try await bothDirections(on: loop) },
            LoopCheck("a second reader replaces the first") { loop in try await replacement(on: loop) },
            LoopCheck("a task waits until a descriptor is readable") { loop in try await waitReadable(on: loop) },
            LoopCheck("a task waits until a descriptor is writable") { loop in try await waitWritable(on: loop) },
            LoopCheck("cancellation of a wait") { loop in try await cancelledWait(on: loop) },
            LoopCheck("a peer that hangs up") { loop in try await hangUp(on: loop) },
            LoopCheck("a close after removeReader sends EOF at once") { loop in try await closedAtOnce(on: loop) },
            LoopCheck("a number that another file gets") { loop in try await reusedNumber(on: loop) },
            LoopCheck("a regular file") { loop in try await regularFile(on: loop) },
            LoopCheck("wake-ups by other threads") { loop in try await wakeUps(on: loop) },
        ]
    }

    // MARK: Callbacks

    private func readers(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            var calls = 0
            try loop.addReader(end.descriptor) { calls += 1 }
            await iterate(loop)
            try expect(calls == 0, "no call of the reader before there are bytes")
            try peer.put("x")
            // The byte is not read.
            try await until("five calls", on: loop) { calls >= 5 }
            try expect(loop.removeReader(end.descriptor), "removeReader to return true")
            let former = calls
            await iterate(loop)
            try expect(calls == former, "no call of a reader that was removed")
            try loop.addReader(end.descriptor) {
                calls += 1
                try end.take()
            }
            try await until("another call", on: loop) { calls > former }
            await iterate(loop)
            try expect(calls == former + 1, "no call of the reader after the byte was read")
            loop.removeReader(end.descriptor)
        }
    }

    private func writers(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            var calls = 0
            try loop.addWriter(end.descriptor) { calls += 1 }
            try await until("five calls", on: loop) { calls >= 5 }
            end.fill()
            // An event that was reported before may still call it.
            await iterate(loop)
            let former = calls
            await iterate(loop)
            try expect(calls == former, "no call of the writer while the send buffer is full")
            peer.drain()
            try await until("another call", on: loop) { calls > former }
            try expect(loop.removeWriter(end.descriptor), "removeWriter to return true")
            let last = calls
            await iterate(loop)
            try expect(calls == last, "no call of a writer that was removed")
        }
    }

    private func bothDirections(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            var (reads, writes) = (0, 0)
            try loop.addReader(end.descriptor) { reads += 1 }
            try loop.addWriter(end.descriptor) { writes += 1 }
            try await until("calls of the writer", on: loop) { writes >= 3 }
            try expect(reads == 0, "no call of the reader while only writing is possible")
            try peer.put("x")
            try await until("calls of the reader", on: loop) { reads >= 3 }
            loop.removeWriter(end.descriptor)
            let (formerReads, formerWrites) = (reads, writes)
            try await until("further calls of the reader", on: loop) { reads >= formerReads + 3 }
            try expect(writes == formerWrites, "no call of the writer that was removed")
            loop.removeReader(end.descriptor)
        }
    }

    private func replacement(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            var (first, second) = (0, 0)
            try peer.put("x")
            try loop.addReader(end.descriptor) { first += 1 }
            try await until("a call of the reader", on: loop) { first > 0 }
            let former = first
            try loop.addReader(end.descriptor) { second += 1 }
            try await until("calls of the second reader", on: loop) { second >= 3 }
            try expect(first == former, "no call of the reader that was replaced")
            loop.removeReader(end.descriptor)
        }
    }

    // MARK: Tasks

    private func waitReadable(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            for _ in 0..<20 {
                let task = loop.createTask(eagerStart: true) { try await loop.waitReadable(end.descriptor) }
                await loop.yield()
                try peer.put("x")
                try await task.value
                try end.take()
            }
            try peer.put("x")
            try await loop.waitReadable(end.descriptor)
        }
    }

    private func waitWritable(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            try await loop.waitWritable(end.descriptor)
            for _ in 0..<5 {
                end.fill()
                var isDone = false
                let task = loop.createTask(eagerStart: true) {
                    try await loop.waitWritable(end.descriptor)
                    isDone = true
                }
                await iterate(loop)
                try expect(!isDone, "a wait while the send buffer is full")
                peer.drain()
                try await task.value
            }
        }
    }

    private func cancelledWait(on loop: EventLoop) async throws {
        try await withPair { end, peer in
            for round in 0..<5 {
                let task = loop.createTask(eagerStart: true) { try await loop.waitReadable(end.descriptor) }
                for _ in 0..<round { await loop.yield() }
                task.cancel()
                try await expectError("a CancellationError") {
                    $0 is CancellationError
                } from: {
                    try await task.value
                }
                try expect(loop.statistics.sources == 0, "no registration after a cancelled wait")
            }
            try peer.put("x")
            try await loop.waitReadable(end.descriptor)
        }
    }

    private func wakeUps(on loop: EventLoop) async throws {
        for _ in 0..<50 {
            let sum = await Task.detached { (1...10).reduce(0, +) }.value
            try expect(sum == 55 && loop.isOnLoop, "the task to continue on its loop")
        }
    }

    // MARK: The end of a descriptor

    private func hangUp(on loop: EventLoop) async throws {
        let (end, peer) = try Socket.pair()
        defer { end.close() }
        end.fill()
        let reading = loop.createTask(eagerStart: true) { try await loop.waitReadable(end.descriptor) }
        let writing = loop.createTask(eagerStart: true) { try await loop.waitWritable(end.descriptor) }
        await iterate(loop)
        peer.close()
        try await reading.value
        try await writing.value
    }

    private func closedAtOnce(on loop: EventLoop) async throws {
        let (end, peer) = try Socket.pair()
        defer { peer.close() }
        try loop.addReader(end.descriptor) {}
        await iterate(loop)
        loop.removeReader(end.descriptor)
        end.close()
        await loop.yield()
        // The loop does not run meanwhile. A child process that is being started may have the descriptor for a moment.
        for _ in 0..<1_000 where peer.receiveByte() == .wouldBlock { usleep(1_000) }
        try expect(peer.receiveByte() == .bytes(0), "EOF one iteration after the reader was removed")
    }

    private func reusedNumber(on loop: EventLoop) async throws {
        for _ in 0..<10 {
            let former = try Socket.pair()
            var formerCalls = 0
            try former.1.put("x")
            try loop.addReader(former.0.descriptor) { formerCalls += 1 }
            try await until("a call of the reader", on: loop) { formerCalls > 0 }
            loop.removeReader(former.0.descriptor)
            former.0.close()
            let calls = formerCalls
            try await withPair { end, peer in
                var newCalls = 0
                try loop.addReader(end.descriptor) { newCalls += 1 }
                await iterate(loop)
                try expect(newCalls == 0, "no event of the closed file for the file that has its number now")
                try peer.put("x")
                try await until("a call of the reader for the file that has the number now", on: loop) { newCalls > 0 }
                loop.removeReader(end.descriptor)
            }
            former.1.close()
            try expect(formerCalls == calls, "no call of a reader that was removed")
        }
    }

    /// A back end that cannot watch a regular file throws EPERM; one that can reports it as ready.
    private func regularFile(on loop: EventLoop) async throws {
        let file = try FileDescriptor.open("/etc/passwd", .readOnly)
        defer { try? file.close() }
        do {
            try await loop.waitReadable(file)
        } catch let error as IOError where error.errno == .notPermitted {
            try expect(loop.statistics.sources == 0, "no registration after an error")
        }
        // The loop still works.
        try await waitReadable(on: loop)
    }

    // MARK: Helpers

    /// Lets the loop run until `condition` is true. Throws if that does not happen soon.
    private func until(_ expectation: String, on loop: EventLoop, _ condition: () -> Bool) async throws {
        for _ in 0..<1_000 where !condition() { await loop.yield() }
        // An event of a busy machine may come late.
        for _ in 0..<2_000 where !condition() { try await loop.sleep(for: .milliseconds(1)) }
        try expect(condition(), expectation)
    }

    /// Runs a few iterations. None of them waits, because the task is ready in each.
    private func iterate(_ loop: EventLoop) async {
        for _ in 0..<5 { await loop.yield() }
    }

    /// Calls `body` with two connected sockets, and closes them.
    private func withPair(_ body: (Socket, Socket) async throws -> Void) async throws {
        let (end, peer) = try Socket.pair()
        defer {
            end.close()
            peer.close()
        }
        try await body(end, peer)
    }
}

extension Socket {
    fileprivate func put(_ text: String) throws {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { send($0) }
        try expect(result == .bytes(bytes.count), "a socket with room to take \(bytes.count) bytes")
    }

    fileprivate func receiveByte() -> IOResult {
        withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { receive(into: $0) }
    }

    fileprivate func take() throws {
        let result = receiveByte()
        try expect(result == .bytes(1), "a byte from a socket that was reported as readable")
    }

    /// Sends until there is no room.
    fileprivate func fill() {
        let bytes = [UInt8](repeating: 1, count: 1 << 16)
        while case .bytes = bytes.withUnsafeBytes({ send($0) }) {}
    }

    /// Receives until nothing is left.
    fileprivate func drain() {
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) {
            while case .bytes(1...) = receive(into: $0) {}
        }
    }
}
