import AsyncIO
import AsyncIOSystem
import Proactors
import SystemPackage
import Testing

@testable import AsyncIOTesting

/// The proactor that lets a test replace the system calls of another one.
struct ReplaceableCallsProactorTests {
    @Test func replacedCallsAffectOperationsThatWereSubmittedBefore() throws {
        let played = try PlayedCalls()
        let (near, far) = try Socket.pair()
        let listener = try Socket.listener()
        try played.proactor.submit(.receiveIntoPool(from: near, size: .small), token: 1)
        try played.proactor.submit(.accept(on: listener), token: 2)
        #expect(try played.completions() == [])

        let calls = CountedCalls()
        played.proactor.systemCalls = calls
        // Nothing is ready, so no call is made.
        #expect(try played.completions() == [])
        #expect(calls.names == [])
        #expect(far.send("x") == .bytes(1))
        let received = try #require(try played.completions().first)
        #expect(received.token == 1 && received.result == 1 && received.hasMore)
        played.put(received)
        let client = try Socket.stream(.ipv4)
        _ = try client.connect(to: #require(listener.localAddress))
        calls.acceptFailure = .tooManyOpenFiles
        #expect(
            try played.completions(1) == [Completion(token: 2, result: -Int(Errno.tooManyOpenFiles.rawValue))])
        #expect(calls.names.filter { $0 == "accept" } == ["accept"])
        #expect(calls.names.first == "receive")
        for socket in [near, far, listener, client] { socket.close() }
        played.proactor.close()
    }

    @Test func cancelledOperationIsNotBegunAgain() throws {
        let played = try PlayedCalls()
        let (near, far) = try Socket.pair()
        try played.proactor.submit(.receiveIntoPool(from: near, size: .small), token: 1)
        #expect(try played.completions() == [])
        played.proactor.cancel(.receiveIntoPool, token: 1)
        let calls = CountedCalls()
        played.proactor.systemCalls = calls
        #expect(far.send("x") == .bytes(1))
        let canceled = -Int(Errno.canceled.rawValue)
        #expect(try played.completions(1) == [Completion(token: 1, result: canceled)])
        #expect(try played.completions() == [])

        // Neither is one that was submitted with replaced calls.
        try played.proactor.submit(.receiveIntoPool(from: far, size: .small), token: 3)
        #expect(try played.completions() == [])
        played.proactor.cancel(.receiveIntoPool, token: 3)
        #expect(near.send("y") == .bytes(1))
        #expect(try played.completions(1) == [Completion(token: 3, result: canceled)])
        #expect(try played.completions() == [])
        #expect(calls.names == ["receive"])
        for socket in [near, far] { socket.close() }
        played.proactor.close()
    }

    @Test func operationsArePassedOnUnlessCallsAreReplaced() throws {
        let played = try PlayedCalls()
        let (near, far) = try Socket.pair()
        let calls = CountedCalls()
        played.proactor.systemCalls = calls
        try played.proactor.submit(.receiveIntoPool(from: near, size: .small), token: 1)
        #expect(try played.completions() == [])
        played.proactor.systemCalls = nil
        // It continues, with the system's own calls.
        #expect(far.send("x") == .bytes(1))
        let received = try #require(try played.completions(1).first)
        #expect(received.token == 1 && received.result == 1)
        played.put(received)
        #expect(calls.names == ["receive"])

        try Array("yz".utf8).withUnsafeBytes { bytes in
            try played.proactor.submit(.send(bytes, on: near), token: 2)
            #expect(try played.completions(1) == [Completion(token: 2, result: 2)])
        }
        #expect(calls.names == ["receive"])
        played.proactor.systemCalls = calls
        try Array("yz".utf8).withUnsafeBytes { bytes in
            try played.proactor.submit(.send(bytes, on: near), token: 3)
            #expect(try played.completions(1) == [Completion(token: 3, result: 2)])
        }
        #expect(calls.names == ["receive", "send"])
        for socket in [near, far] { socket.close() }
        played.proactor.close()
    }
}

/// A proactor without a loop, around one that carries out its operations.
private final class PlayedCalls {
    let proactor = ReplaceableCallsProactor(ScriptedProactor(clock: nil))
    private let waker: Waker

    init() throws {
        waker = try Waker()
        // The first poll is that of a loop's waker.
        try proactor.submit(.poll(waker.descriptor, for: .read), token: 0)
    }

    /// Returns what has completed, or waits until `number` operations have.
    func completions(_ number: Int = 0) throws -> [Completion] {
        var completions: [Completion] = []
        // Several waits, because a poll and a call may have to follow one another.
        for _ in 0..<4 { try proactor.wait(timeoutNanoseconds: 0, into: &completions) }
        while completions.count < number { try proactor.wait(timeoutNanoseconds: 60_000_000_000, into: &completions) }
        return completions
    }

    func put(_ completion: Completion) {
        if let buffer = completion.buffer { proactor.buffers.put(buffer.memory, buffer.size) }
    }
}

/// The system's calls, with their names.
private final class CountedCalls: SystemCalls {
    private(set) var names: [String] = []
    var acceptFailure: Errno?

    func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        names.append("receive")
        return socket.receive(into: buffer)
    }

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        names.append("send")
        return socket.send(bytes)
    }

    func accept(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        names.append("accept")
        if let acceptFailure { throw acceptFailure }
        return try socket.accept()
    }
}

extension Socket {
    fileprivate func send(_ text: String) -> IOResult { Array(text.utf8).withUnsafeBytes { send($0) } }

    fileprivate static func listener() throws -> Socket {
        let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
        let socket = try Socket.stream(for: any)
        try socket.bind(to: any)
        try socket.listen(backlog: 1)
        return socket
    }
}
