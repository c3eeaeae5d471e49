import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import SystemPackage
import Testing

/// Numbers of descriptors whose owners change within an iteration.
struct DescriptorReuseTests {
    /// A loop that waits for completions must not retain the file by an operation in progress.
    // covers: 119
    @Test(arguments: TestLoop.all)
    func closeAfterTheRemovalOfAReaderIsSeenByThePeerInThatIteration(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let (client, server) = try await loop.connectedSockets()
            try loop.addReader(client.descriptor) {}
            for _ in 0..<3 { await loop.yield() }
            loop.removeReader(client.descriptor)
            client.close()
            await loop.yield()
            // Blocks the loop, so the EOF cannot depend on what the loop does later.
            waitUntilReadable(server.descriptor)
            var byte: UInt8 = 0
            let result = withUnsafeMutableBytes(of: &byte) { server.receive(into: $0) }
            #expect(result == .bytes(0))
            server.close()
        }
    }

    // covers: 119
    @Test(arguments: TestLoop.all)
    func closedDescriptorsEventNeverReachesTheNextOwnerOfItsNumber(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for _ in 0..<50 {
                let (first, firstPeer) = try Socket.pair()
                let (second, secondPeer) = try Socket.pair()
                var stale = 0
                var fresh = 0
                var reused: Socket?
                // Both are ready in one wait. The one that runs first replaces the other.
                let replace = { (mine: Socket, other: Socket) in
                    guard reused == nil else { return }
                    loop.removeReader(mine.descriptor)
                    loop.removeReader(other.descriptor)
                    // Closes the other and takes its number in one step, because another test may be opening files.
                    let number = dup2(mine.number, other.number)
                    reused = Socket(number: number)
                    // The duplicate has bytes to read, which must not be reported to a watch for writing.
                    try loop.addWriter(FileDescriptor(rawValue: number)) { fresh += 1 }
                }
                try loop.addReader(first.descriptor) {
                    if reused != nil { stale += 1 }
                    try replace(first, second)
                }
                try loop.addReader(second.descriptor) {
                    if reused != nil { stale += 1 }
                    try replace(second, first)
                }
                sendByte(firstPeer)
                sendByte(secondPeer)
                await loop.until { fresh > 1 }
                #expect(stale == 0)
                #expect(loop.removeWriter(try #require(reused).descriptor))
                for socket in [first, second, firstPeer, secondPeer] { socket.close() }
            }
            #expect(loop.statistics.sources == 0)
        }
    }

    /// The number of the socket that has not run yet belongs to a silent socket by then, which has a reader.
    // covers: 19, F3
    @Test(arguments: TestLoop.all)
    func eventOfTheFormerOwnerNeverReachesTheReaderOfTheNextOne(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            for _ in 0..<20 {
                let pairs = [try Socket.pair(), try Socket.pair(), try Socket.pair()]
                let (silent, silentPeer) = pairs[2]
                var turns = 0
                var calls = 0
                var replaced: Socket?
                for (mine, other) in [(0, 1), (1, 0)] {
                    try loop.addReader(pairs[mine].0.descriptor) {
                        turns += 1
                        guard replaced == nil else { return }
                        let reused = pairs[other].0
                        loop.removeReader(pairs[mine].0.descriptor)
                        #expect(loop.removeReader(reused.descriptor))
                        // Closes it and takes its number in one step, because another test may be opening files.
                        #expect(dup2(silent.number, reused.number) == reused.number)
                        replaced = reused
                        try loop.addReader(reused.descriptor) { calls += 1 }
                    }
                    sendByte(pairs[mine].1)
                }
                await loop.until { replaced != nil }
                for _ in 0..<5 { await loop.yield() }
                #expect(turns == 1 && calls == 0)
                sendByte(silentPeer)
                await loop.until { calls > 0 }
                #expect(loop.removeReader(try #require(replaced).descriptor))
                for (end, peer) in pairs {
                    end.close()
                    peer.close()
                }
            }
            #expect(loop.statistics.sources == 0)
        }
    }
}
