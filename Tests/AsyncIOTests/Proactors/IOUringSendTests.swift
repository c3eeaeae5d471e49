#if os(Linux)
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Glibc
import Proactors
import SystemPackage
import Testing

/// The operations on sockets that a loop submits, one by one, on each proactor.
struct DirectSocketTests {
    // covers: 328
    @Test(arguments: ProactorKind.available) func clientConnectsAndIsAccepted(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (listener, address) = try SocketPlace.ipv4.listen()
        let accept = try proactor.submit(.accept(on: listener))
        for number in 0..<3 {
            let client = try Socket.stream(.ipv4)
            let connect = try proactor.submit(.connect(client, to: address))
            let completions = try proactor.completions(2)
            #expect(completions.contains(Completion(token: connect, result: 0)))
            let accepted = try #require(completions.first { $0.token == accept })
            #expect(accepted.hasMore && accepted.result >= 0)
            let connection = Socket(number: CInt(accepted.result))
            #expect(connection.closesOnExec)
            #expect(connection.sendNow("number \(number)") == 8)
            waitUntilReadable(client.descriptor)
            #expect(client.receiveText() == "number \(number)")
            for socket in [client, connection] { socket.close() }
        }
        proactor.cancel(.accept, accept)
        #expect(try proactor.completions(1) == [Completion(token: accept, result: failure(.canceled))])
        listener.close()
        proactor.close()
    }

    @Test(arguments: ProactorKind.available) func refusedConnectFails(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let port = try KeptPort("127.0.0.1")
        let client = try Socket.stream(.ipv4)
        let address = SocketAddress(literal: "127.0.0.1", port: port.number)!
        #expect(try proactor.result(of: .connect(client, to: address)) == failure(.connectionRefused))
        client.close()
        port.close()
        proactor.close()
    }

    @Test(arguments: ProactorKind.available) func receiveWaitsForBytesAndReportsEOF(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (near, far) = try Socket.pair()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
        defer { memory.deallocate() }
        let token = try proactor.submit(.receive(from: near, into: memory))
        #expect(try proactor.completions() == [])
        #expect(far.sendNow("bytes") == 5)
        #expect(try proactor.completions(1) == [Completion(token: token, result: 5)])
        #expect(String(decoding: memory[..<5], as: UTF8.self) == "bytes")
        far.close()
        #expect(try proactor.result(of: .receive(from: near, into: memory)) == 0)
        near.close()
        proactor.close()
    }

    // covers: 329, 335
    @Test(arguments: ProactorKind.available) func everythingIsSentInOrderToASlowReader(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (near, far) = try Socket.pair()
        try near.setOption(SocketOption(level: SOL_SOCKET, name: SO_SNDBUF), to: 16_384)
        var sent = PatternStream()
        var received = PatternStream()
        var shortCount = 0
        while sent.position < 8 << 20 {
            // New memory each time, which is freed as soon as the send has completed.
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
            sent.peek(memory.count) { memory.copyMemory(from: $0) }
            let token = try proactor.submit(.send(UnsafeRawBufferPointer(memory), on: near))
            var completions = try proactor.completions()
            while completions.isEmpty {
                // The peer reads only when the sender waits.
                let bytes = far.receiveBytes(10_000)
                try #require(bytes.withUnsafeBytes { received.matches($0) })
                completions = try proactor.completions()
            }
            #expect(completions.map(\.token) == [token] && completions[0].result > 0)
            if completions[0].result < memory.count { shortCount += 1 }
            memoryIsFree(memory)
            sent.advance(max(completions[0].result, 1))
        }
        while received.position < sent.position {
            try #require(far.receiveBytes(1 << 20).withUnsafeBytes { received.matches($0) })
        }
        #expect(received.position == sent.position)
        #expect(shortCount > 0)
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    // covers: 329
    @Test(arguments: ProactorKind.available) func sendToAPeerThatNeverReadsWaits(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (near, far) = try Socket.pair()
        near.fillSendBuffer()
        let bytes = SentBytes("unsent")
        let token = try proactor.submit(.send(bytes.bytes, on: near))
        for _ in 0..<10 { #expect(try proactor.completions() == []) }
        proactor.cancel(.send, token)
        #expect(try proactor.completions(1) == [Completion(token: token, result: failure(.canceled))])
        // A send to a peer that has gone fails.
        far.close()
        #expect(try proactor.result(of: .send(bytes.bytes, on: near)) == failure(.brokenPipe))
        near.close()
        proactor.close()
    }
}
#endif
