import AsyncIO
import AsyncIOTesting
import Testing

@testable import FileServer

/// The time limits of the file server, over real sockets. The clock jumps from one timer to the next, so a test of ten
/// seconds takes milliseconds and is exact.
@Suite struct FileServerTimeTests {
    @Test func aRequestThatDoesNotArriveIsRefusedAfterTenSeconds() async throws {
        try await withVirtualTimeLoop { loop, clock in
            let server = try await FileServer(root: ".").start(on: loop, port: 0)
            let port = try #require(server.localAddresses[0].port)
            try await loop.withConnection(host: "127.0.0.1", port: port) { reader, writer in
                try await writer.write("GET / HT")
                #expect(try await reader.readLine() == "HTTP/1.1 408 Request Timeout")
                #expect(clock.now == LoopInstant(nanoseconds: 10_000_000_000))
            }
            server.close()
            try await server.waitClosed()
        }
    }

    @Test func eachRequestHasItsOwnTenSeconds() async throws {
        try await withVirtualTimeLoop { loop, clock in
            let server = try await FileServer(root: ".").start(on: loop, port: 0)
            let port = try #require(server.localAddresses[0].port)
            try await loop.withConnection(host: "127.0.0.1", port: port) { reader, writer in
                for _ in 1...3 {
                    try await loop.sleep(for: .seconds(9))
                    try await writer.write("GET /Package.swift HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    #expect(try await reader.readUntil("\r\n\r\n").starts(with: "HTTP/1.1 200 OK".utf8))
                    while try await reader.readLine() != ")" {}
                }
                #expect(clock.now == LoopInstant(nanoseconds: 27_000_000_000))
            }
            server.close()
            try await server.waitClosed()
        }
    }
}
