#if os(Linux)
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Glibc
import Proactors
import SystemPackage
import Testing

/// ``CancelRaceTests`` for the kinds of operations that a loop does not submit yet.
@Suite(ioUringTrait, .serialized) struct OtherCancelRaceTests {
    private let rounds = AsyncIOTests.rounds(debug: 200, full: 50_000)

    // covers: 328, 329
    @Test(arguments: [false, true])
    func readsTakeBytesOrNone(ofAPipe: Bool) throws {
        let race = try Race(seed: 7)
        var pipe: [CInt] = [-1, -1]
        try #require(aio_pipe(&pipe) == 0)
        let (near, far) = ofAPipe ? (Socket(number: pipe[0]), Socket(number: pipe[1])) : try Socket.pair()
        var written: UInt8 = 0
        var expected: UInt8 = 0
        for _ in 0..<rounds {
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 16)
            let operation: ProactorOperation =
                ofAPipe ? .read(from: near.descriptor, into: memory) : .receive(from: near, into: memory)
            let found = try race.round(operation) {
                written &+= 1
                _ = withUnsafeBytes(of: written) { write(far.number, $0.baseAddress!, 1) }
            }
            let result = found.last?.result ?? 0
            if found.count != 1 { race.fail("\(found)") }
            if result > 0 {
                for byte in memory[..<result] {
                    expected &+= 1
                    if byte != expected { race.fail("byte \(byte), not \(expected)") }
                }
            } else if ![.canceled, .interrupted, .wouldBlock].map({ failure($0) }).contains(result) {
                race.fail("\(found)")
            }
            memoryIsFree(memory)
            // What the read has left.
            var byte: UInt8 = 0
            while expected != written {
                expected &+= 1
                if read(near.number, &byte, 1) != 1 || byte != expected { race.fail("lost byte \(expected)") }
            }
        }
        for descriptor in Set([near.number, far.number] + pipe) { _ = aio_close(descriptor) }
        race.end(rounds)
    }

    // covers: 328, 329
    @Test func messagesArriveOnceOrNotAtAll() throws {
        let race = try Race(seed: 8)
        let (near, far) = try Socket.pair(.datagram)
        for number in 0..<rounds {
            let text = "message \(number)"
            let isReceive = race.random(0..<2) == 0
            let message = isReceive ? Message(byteCount: 32) : Message(bytes: Array(text.utf8))
            let operation: ProactorOperation =
                isReceive
                ? .receiveMessage(from: near, header: message.header) : .sendMessage(header: message.header, on: far)
            let found = try race.round(operation) { if isReceive { _ = far.sendNow(text) } }
            if found.count != 1 { race.fail("\(found)") }
            let result = found.last?.result ?? 0
            var texts: [String] = []
            if isReceive, result > 0 { texts.append(message.text(result)) }
            while case let bytes = near.receiveBytes(100), !bytes.isEmpty {
                texts.append(String(decoding: bytes, as: UTF8.self))
            }
            if texts != (!isReceive && result < 0 ? [] : [text]) { race.fail("\(texts) after \(found)") }
        }
        for socket in [near, far] { socket.close() }
        race.end(rounds, bothHappen: false)
    }

    // covers: 328, 329, 330, F25
    @Test func filesAreOpenedWrittenAndClosedOnce() throws {
        let race = try Race(seed: 9)
        try withTemporaryPath { path in
            let file = try FileDescriptor.open(
                path, .readWrite, options: [.create], permissions: .ownerReadWrite)
            let status = UnsafeMutablePointer<stat>.allocate(capacity: 1)
            defer { status.deallocate() }
            let bytes: [UInt8] = [1, 2, 3, 4]
            for _ in 0..<rounds {
                let (operation, isExpected): (ProactorOperation, (Int) -> Bool) =
                    switch race.random(0..<5) {
                    case 0: (.open(path, .readOnly), { $0 >= 0 })
                    case 1: (.stat(path, into: status), { $0 == 0 })
                    case 2: (.fsync(file, dataOnly: true), { $0 == 0 })
                    case 3: (.close(FileDescriptor(rawValue: dup(file.rawValue))), { $0 == 0 })
                    default: (.write(bytes.withUnsafeBytes { $0 }, to: file, at: 0), { $0 == 4 })
                    }
                let found = try withExtendedLifetime(bytes) { try race.round(operation) {} }
                let result = found.last?.result ?? 0
                if found.count != 1 || !isExpected(result) && result != failure(.canceled) {
                    race.fail("\(operation): \(found)")
                }
                if operation.kind == .open, result >= 0 { _ = aio_close(CInt(result)) }
                // A cancelled close has not closed it.
                if operation.kind == .close, result < 0 { _ = aio_close(operation.descriptor) }
            }
            try file.close()
        }
        race.end(rounds, bothHappen: false)
    }

    // covers: 328
    @Test(.startsProcess) func waitsForAChildReapItOnce() throws {
        let race = try Race(seed: 10)
        var pipe: [CInt] = [-1, -1]
        try #require(aio_pipe(&pipe) == 0)
        let read = FileDescriptor(rawValue: pipe[0])
        _ = aio_set_non_blocking(pipe[0], 0)
        let child = try spawnReader(of: read)
        let process = FileDescriptor(rawValue: aio_open_process(child))
        let status = UnsafeMutablePointer<siginfo_t>.allocate(capacity: 1)
        defer { status.deallocate() }
        for _ in 0..<rounds {
            let found = try race.round(.waitForChild(process, into: status)) {}
            if found.count != 1 || found.last?.result != failure(.canceled) { race.fail("\(found)") }
        }
        _ = aio_close(pipe[1])
        #expect(try race.ring.result(of: .waitForChild(process, into: status)) == 0)
        #expect(waitpid(child, nil, WNOHANG) == -1)
        for descriptor in [read, process] { try descriptor.close() }
        race.end(rounds, bothHappen: false)
    }
}
#endif
