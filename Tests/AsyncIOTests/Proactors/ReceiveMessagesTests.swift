import AsyncIOSystem
import AsyncIOTesting
import Proactors
import SystemPackage
import Testing

/// Operations that receive the messages of a datagram socket, without a loop.
struct ReceiveMessagesTests {
    /// Resubmits the operation when it has ended, as a loop does.
    private func receive(_ count: Int, _ proactor: DirectProactor, from socket: Socket) throws -> [String] {
        var texts: [String] = []
        while texts.count < count {
            for completion in try proactor.completions(1) {
                if let buffer = completion.buffer {
                    let message = PooledMessage(buffer, usedBytes: completion.result)
                    texts.append(String(decoding: message.bytes, as: UTF8.self))
                    #expect(!message.isTruncated)
                    proactor.put(completion)
                } else {
                    #expect(completion.result == -Int(Errno.noBufferSpace.rawValue))
                }
                if !completion.hasMore { try proactor.submit(.receiveMessages(from: socket, size: .large)) }
            }
        }
        return texts
    }

    // covers: 332, F27
    @Test(arguments: ProactorKind.available)
    func eachMessageHasABufferAndMoreThanThereAreBuffersArrive(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let near = try Socket.boundDatagram()
        try near.setOption(.receiveBufferBytes, to: 1 << 20)
        let far = try Socket.boundDatagram()
        try proactor.submit(.receiveMessages(from: near, size: .large))
        #expect(try proactor.completions() == [])
        // An empty message may end the operation, and must not be taken for EOF.
        let sent = ["one", "", "three"] + (0..<100).map { "\($0)" }
        for text in sent { _ = far.sendDatagram(text, to: near.localAddress!) }
        #expect(try receive(sent.count, proactor, from: near) == sent)
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    // covers: 195
    @Test(arguments: ProactorKind.available)
    func cancelledOperationReleasesThePort(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let near = try Socket.boundDatagram()
        let address = near.localAddress!
        let token = try proactor.submit(.receiveMessages(from: near, size: .large))
        #expect(try proactor.completions() == [])
        proactor.cancel(.receiveMessages, token)
        near.close()
        let next = try Socket.boundDatagram(address)
        next.close()
        #expect(try proactor.completions(1).last?.result == -Int(Errno.canceled.rawValue))
        proactor.close()
    }
}
