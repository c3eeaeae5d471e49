import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

/// System calls that fail, or move fewer bytes, while descriptors are passed.
struct SockDescriptorsFaultTests {
    /// Sends a descriptor with a text, and returns what the receiver gets, up to the end of the text.
    private func exchange(
        _ text: String, _ near: Socket, _ far: Socket, _ loop: EventLoop
    ) async throws -> (text: String, counts: [Int]) {
        let sending = loop.createTask {
            try await loop.sock.sendDescriptors(near, [near.descriptor], with: Array(text.utf8))
        }
        var bytes: [UInt8] = []
        var counts: [Int] = []
        while bytes.count < text.utf8.count {
            let part = try await loop.sock.receiveDescriptors(far, maxDescriptors: 2, maxBytes: 100)
            bytes += part.bytes
            counts.append(part.descriptors.count)
            for descriptor in part.descriptors {
                #expect(Socket(number: descriptor.rawValue).closesOnExec)
                try descriptor.close()
            }
        }
        try await sending.value
        return (String(decoding: bytes, as: UTF8.self), counts)
    }

    // covers: F66
    @Test(
        arguments: TestLoop.all,
        [Errno.noBufferSpace, .noMemory, .tooManyReferences, .brokenPipe, .connectionReset, .invalidArgument])
    func failedSendThrowsAndLeavesTheDescriptorOpen(kind: TestLoop, error: Errno) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                loop.injectFault(.fails(error), intoFirst: .sendDescriptors)
                let thrown = await #expect(throws: IOError.self) {
                    try await loop.sock.sendDescriptors(near, [near.descriptor], with: [1])
                }
                #expect(thrown?.errno == error && thrown?.operation.hasPrefix("send descriptors to") == true)
                // Both sockets can still be used, and nothing was sent before.
                let received = try await exchange("next", near, far, loop)
                #expect(received.text == "next" && received.counts == [1])
            }
        }
    }

    // covers: F66
    @Test(
        .expectsReleasedFiles, arguments: TestLoop.all,
        [Errno.noBufferSpace, .noMemory, .connectionReset, .timedOut, .invalidArgument])
    func failedReceiveThrowsAndLosesNothing(kind: TestLoop, error: Errno) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                loop.injectFault(.fails(error), intoFirst: .receiveDescriptors)
                let pipe = try FileDescriptor.pipe()
                try await loop.sock.sendDescriptors(near, [pipe.writeEnd], with: [1])
                try pipe.writeEnd.close()
                let thrown = await #expect(throws: IOError.self) {
                    _ = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                }
                #expect(thrown?.errno == error && thrown?.operation.hasPrefix("receive descriptors from") == true)
                let received = try await loop.sock.receiveDescriptors(far, maxDescriptors: 1, maxBytes: 10)
                #expect(received.bytes == [1] && received.descriptors.count == 1)
                for descriptor in received.descriptors { try descriptor.close() }
                // It was the last write end.
                var byte = [UInt8](repeating: 0, count: 1)
                #expect(becomesTrue { (try? byte.withUnsafeMutableBytes { try pipe.readEnd.read(into: $0) }) == 0 })
                try pipe.readEnd.close()
            }
        }
    }

    /// The descriptor comes with the first byte, and only once.
    // covers: F66
    @Test(arguments: TestLoop.all, [SocketCall.sendDescriptors, .receiveDescriptors])
    func shortAndBlockedCallsPassTheDescriptorOnce(kind: TestLoop, call: SocketCall) async throws {
        try await withLoop(kind) { loop in
            try await withSockets { near, far in
                for fault in [SocketFault.wouldBlock, .atMost(1), .atMost(3)] {
                    var calls = 0
                    loop.injectFaults { made in
                        guard made == call else { return nil }
                        calls += 1
                        return calls == 1 ? fault : nil
                    }
                    let received = try await exchange("a longer text", near, far, loop)
                    #expect(received.text == "a longer text")
                    #expect(received.counts.first == 1 && received.counts.dropFirst().allSatisfy { $0 == 0 })
                    #expect(calls >= 1)
                }
            }
        }
    }
}
