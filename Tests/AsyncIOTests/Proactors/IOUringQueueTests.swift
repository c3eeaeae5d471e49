#if os(Linux)
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Glibc
import Proactors
import SystemPackage
import Testing

/// More operations than the rings have entries, and more bytes than there are buffers.
@Suite(ioUringTrait) struct IOUringQueueTests {
    // covers: 334, F29
    @Test(arguments: [false, true])
    func submissionsThatDoNotFitFollowInOrder(beforeTheFirstWait: Bool) throws {
        let proactor = try DirectProactor(.ioUring)
        if !beforeTheFirstWait { _ = try proactor.completions() }
        var pipe: [CInt] = [-1, -1]
        try #require(aio_pipe(&pipe) == 0)
        // Three times as many as the submission ring has entries.
        let numbers = (0..<UInt16(3_000)).map { $0 }
        try numbers.withUnsafeBytes { bytes in
            for index in numbers.indices {
                let memory = UnsafeRawBufferPointer(rebasing: bytes[2 * index..<2 * index + 2])
                try proactor.submit(.write(memory, to: FileDescriptor(rawValue: pipe[1])))
            }
            let completions = try proactor.completions(numbers.count)
            #expect(completions == numbers.map { Completion(token: UInt64($0) + 1, result: 2) })
        }
        let written = [UInt16](unsafeUninitializedCapacity: 4_000) { buffer, count in
            count = max(0, read(pipe[0], buffer.baseAddress!, 8_000)) / 2
        }
        #expect(written == numbers)
        for descriptor in pipe { _ = aio_close(descriptor) }
        proactor.close()
    }

    // covers: 328, 333
    @Test(arguments: [6_000, 20_000]) func completionsThatDoNotFitAreNotLost(count: Int) throws {
        let proactor = try DirectProactor(.ioUring)
        let (near, far) = try Socket.pair()
        for _ in 0..<count { try proactor.submit(.poll(near.descriptor, for: .read)) }
        #expect(try proactor.completions() == [])
        // All complete at once.
        sendByte(far)
        #expect(try proactor.completions(count).count == count)
        #expect(proactor.pending.isEmpty)
        #expect(try proactor.completions() == [])
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    // covers: 331, 332, F27
    @Test(arguments: [(BufferPool.Size.small, 150), (.medium, 40), (.large, 20)])
    func receivesThatFindNoBufferLoseNothing(size: BufferPool.Size, count: Int) throws {
        let proactor = try DirectProactor(.ioUring)
        let pairs = try (0..<count).map { _ in try Socket.pair() }
        var expected: [[UInt8]] = []
        for (index, (_, far)) in pairs.enumerated() {
            // More than one small buffer each.
            let bytes = [UInt8](pattern(40_000 + index)[index...])
            #expect(far.sendBytes(bytes) == bytes.count)
            expected.append(bytes)
        }
        var received = [[UInt8]](repeating: [], count: count)
        var owners: [UInt64: Int] = [:]
        for (index, pair) in pairs.enumerated() {
            owners[try proactor.submit(.receiveIntoPool(from: pair.0, size: size))] = index
        }
        var refusals = 0
        while received != expected {
            for completion in try proactor.completions(1) {
                let index = try #require(owners[completion.token])
                if let buffer = completion.buffer {
                    received[index] += UnsafeRawBufferPointer(rebasing: buffer.bytes.prefix(completion.result))
                    proactor.put(completion)
                } else {
                    try #require(completion.result == failure(.noBufferSpace))
                    refusals += 1
                }
                if completion.hasMore { continue }
                owners[try proactor.submit(.receiveIntoPool(from: pairs[index].0, size: size))] = index
            }
            // Each refusal has made the pool larger.
            try #require(refusals <= 4 * count)
        }
        #expect(refusals > 0)
        for (near, far) in pairs {
            near.close()
            far.close()
        }
        proactor.close()
    }

    // covers: 332
    @Test func bufferThatIsRetainedStarvesNobody() throws {
        let proactor = try DirectProactor(.ioUring)
        let (near, far) = try Socket.pair()
        let token = try proactor.submit(.receiveIntoPool(from: near, size: .small))
        // More than the ring has had at first; none is returned.
        var retained: [(Completion, UInt8)] = []
        for number in 0..<100 {
            #expect(far.sendBytes([UInt8(number)]) == 1)
            let completion = try #require(try proactor.completions(1).first)
            #expect(completion.token == token && completion.hasMore)
            retained.append((completion, UInt8(number)))
        }
        #expect(Set(retained.map { $0.0.buffer }).count == 100)
        for (completion, number) in retained {
            #expect(completion.buffer?.bytes.first == number)
            proactor.put(completion)
        }
        for socket in [near, far] { socket.close() }
        proactor.close()
    }
}

/// How long a ring waits.
@Suite(ioUringTrait) struct IOUringWaitTests {
    // covers: 339
    @Test(arguments: [1, 50_000, 3_000_000, 20_000_000] as [Int64])
    func waitLastsAtLeastAsLongAsItsLimit(nanoseconds: Int64) throws {
        let proactor = try IOUringProactor()
        var events: [Completion] = []
        for _ in 0..<3 {
            let begin = MonotonicClock.now.nanoseconds
            try proactor.wait(timeoutNanoseconds: nanoseconds, into: &events)
            let elapsed = MonotonicClock.now.nanoseconds - begin
            #expect(elapsed >= nanoseconds)
        }
        #expect(events == [])
        proactor.close()
    }

    @Test func waitOfNoTimeDoesNotWait() throws {
        let proactor = try IOUringProactor()
        let (near, far) = try Socket.pair()
        try proactor.submit(.poll(near.descriptor, for: .read), token: 1)
        var events: [Completion] = []
        for timeout in [0, -1, Int64.min] { try proactor.wait(timeoutNanoseconds: timeout, into: &events) }
        #expect(events == [])
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    // covers: 335
    @Test(.startsProcess) func signalsDoNotEndAWait() async {
        await #expect(processExitsWith: .success) {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in }
            sigaction(SIGUSR2, &action, nil)
            let proactor = try IOUringProactor()
            let (near, far) = try Socket.pair()
            try proactor.submit(.poll(near.descriptor, for: .read), token: 1)
            let waiting = pthread_self()
            let isDone = Flag()
            let signaller = OtherThread {
                var count = 0
                while !isDone.isSet {
                    pthread_kill(waiting, SIGUSR2)
                    usleep(500)
                    count += 1
                }
                precondition(count > 10)
            }
            var events: [Completion] = []
            let begin = MonotonicClock.now.nanoseconds
            try proactor.wait(timeoutNanoseconds: 50_000_000, into: &events)
            precondition(events.isEmpty && MonotonicClock.now.nanoseconds - begin >= 50_000_000)
            let sender = OtherThread {
                usleep(20_000)
                sendByte(far)
            }
            try proactor.wait(timeoutNanoseconds: nil, into: &events)
            precondition(events.count == 1)
            isDone.set()
            sender.join()
            signaller.join()
            proactor.close()
            exit(0)
        }
    }
}

/// What a poll of a ring reports.
@Suite(ioUringTrait) struct IOUringPollTests {
    // covers: 328
    @Test func pollReportsTheLevelEachTime() throws {
        let proactor = try DirectProactor(.ioUring)
        let (near, far) = try Socket.pair()
        sendByte(far)
        for _ in 0..<3 {
            #expect(
                try proactor.result(of: .poll(near.descriptor, for: .read)) == Int(Readiness.read.rawValue))
        }
        _ = near.receiveBytes()
        let token = try proactor.submit(.poll(near.descriptor, for: .read))
        #expect(try proactor.completions() == [])
        sendByte(far)
        #expect(try proactor.completions(1) == [Completion(token: token, result: Int(Readiness.read.rawValue))])
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    @Test func pollReportsAHangUpAndABadDescriptor() throws {
        let proactor = try DirectProactor(.ioUring)
        let (near, far) = try Socket.pair()
        let token = try proactor.submit(.poll(near.descriptor, for: .read))
        #expect(try proactor.completions() == [])
        far.close()
        let result = try #require(try proactor.completions(1).first)
        #expect(result.token == token)
        let readiness = Readiness(rawValue: UInt8(truncatingIfNeeded: result.result))
        #expect(readiness.isSuperset(of: [.read, .hangup]))
        near.close()
        #expect(
            try proactor.result(of: .poll(FileDescriptor(rawValue: 1_000_000), for: .read))
                == failure(.badFileDescriptor))
        proactor.close()
    }
}
#endif
