import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Selectors
import SystemPackage
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// All that a selector of one's own takes: level-triggered, over poll(2).
final class PlainSelector: BaseSelector {
    private var watched: [CInt: (interest: Interest, token: UInt64)] = [:]

    var supportsEdgeTrigger: Bool { false }

    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        if watched[descriptor.rawValue] != nil { throw .fileExists }
        watched[descriptor.rawValue] = (interest, token)
    }

    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        if watched[descriptor.rawValue] == nil { throw .noSuchFileOrDirectory }
        watched[descriptor.rawValue] = (interest, token)
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        if watched.removeValue(forKey: descriptor.rawValue) == nil { throw .noSuchFileOrDirectory }
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        var polled = watched.map { number, entry in
            let read = entry.interest.contains(.read) ? POLLIN : 0
            let write = entry.interest.contains(.write) ? POLLOUT : 0
            return pollfd(fd: number, events: Int16(read | write), revents: 0)
        }
        let milliseconds = timeoutNanoseconds.map { CInt((max($0, 0) + 999_999) / 1_000_000) } ?? -1
        poll(&polled, nfds_t(polled.count), milliseconds)
        for entry in polled where entry.revents != 0 {
            guard let (interest, token) = watched[entry.fd] else { continue }
            let isReadable = entry.revents & ~Int16(POLLOUT) != 0
            let isWritable = entry.revents & ~Int16(POLLIN) != 0
            let readiness = (isReadable ? Readiness.read : []).union(isWritable ? .write : [])
            events.append(ReadyEvent(token: token, readiness: readiness.matching(interest)))
        }
    }

    func close() { watched = [:] }
}

extension PlainSelector {
    fileprivate static func makeLoop() throws -> SelectorEventLoop {
        try SelectorEventLoop(selector: PlainSelector())
    }
}

struct OwnSelectorTests {
    @Test(arguments: [false, true])
    func aLoopOverASelectorOfTheUsersEchoes(pushes: Bool) async throws {
        try await withLoop(makeLoop: PlainSelector.makeLoop) { loop in
            #expect(loop.backendName == "plain")
            let server =
                pushes
                ? try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
                : try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
                    while let count = try await reader.read(into: &buffer) {
                        try await writer.write(Array(buffer[..<count]))
                    }
                }
            let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
            // More than one call takes.
            try writer.transport.socket.setOption(.sendBufferBytes, to: 16 * 1024)
            let bytes = [UInt8](repeating: 7, count: 256 * 1024)
            let writing = loop.createTask { try await writer.write(bytes) }
            let received = try await reader.readExactly(bytes.count)
            try await writing.value
            #expect(received == bytes)
            writer.close()
            server.close()
            try await server.waitClosed()
        }
    }

    @Test func aLoopOverASelectorOfTheUsersHasReadersAndTimers() async throws {
        try await withLoop(makeLoop: PlainSelector.makeLoop) { loop in
            let (near, far) = try Socket.pair()
            far.put("x")
            try await loop.waitReadable(near.descriptor)
            try await loop.waitWritable(near.descriptor)
            try await loop.sleep(for: .milliseconds(2))
            near.close()
            far.close()
        }
    }
}
