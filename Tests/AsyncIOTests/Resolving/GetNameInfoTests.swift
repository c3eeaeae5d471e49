import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

@testable import AsyncIO

struct GetNameInfoTests {
    private static func address(_ literal: String, _ port: UInt16) -> SocketAddress {
        SocketAddress(literal: literal, port: port)!
    }

    /// What the system's call returns on this thread.
    private static func systemNames(_ address: SocketAddress, _ flags: CInt) -> (host: String, service: String)? {
        var host = [CChar](repeating: 0, count: 1_025)
        var service = [CChar](repeating: 0, count: 32)
        let status = address.withCAddress { storage, length in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getnameinfo($0, length, &host, 1_025, &service, 32, flags)
            }
        }
        if status != 0 { return nil }
        return (host.withUnsafeBytes(text), service.withUnsafeBytes(text))
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    // covers: 267
    @Test func namesAreThoseOfTheSystem() async throws {
        // The system asks silent name servers several times, one after the other.
        try await withLoop(.auto, LoopTestOptions(timeLimit: .seconds(300))) { loop in
            let cases: [(flags: NameInfoFlags, cFlags: CInt)] = [
                ([], 0), (.numericHost, NI_NUMERICHOST), (.numericService, NI_NUMERICSERV),
                ([.numericHost, .numericService], NI_NUMERICHOST | NI_NUMERICSERV),
                ([.numericHost, .datagram], NI_NUMERICHOST | NI_DGRAM), (.withoutDomain, NI_NOFQDN),
                ([.nameRequired, .numericService], NI_NAMEREQD | NI_NUMERICSERV),
            ]
            for address in [Self.address("127.0.0.1", 80), Self.address("::1", 514), Self.address("127.0.0.1", 0)] {
                for (flags, cFlags) in cases {
                    let expected = Self.systemNames(address, cFlags)
                    do {
                        let names = try await loop.getNameInfo(address, flags: flags)
                        #expect(expected.map { $0 == names } == true, "\(address) \(flags)")
                    } catch let error as EventLoopError {
                        // Not every system has a name for it.
                        #expect(expected == nil && flags.contains(.nameRequired), "\(address) \(flags): \(error)")
                    }
                }
            }
        }
    }

    // covers: 267
    @Test func addressesAreThoseOfTheSystem() async throws {
        try await withLoop(.auto, LoopTestOptions(timeLimit: .seconds(300))) { loop in
            for host in ["localhost", "127.0.0.1", "::1", "127.1"] {
                var hints = addrinfo()
                hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
                var list: UnsafeMutablePointer<addrinfo>?
                #expect(getaddrinfo(host, "7", &hints, &list) == 0)
                defer { freeaddrinfo(list) }
                var expected: [SocketAddress] = []
                var next = list
                while let entry = next?.pointee {
                    next = entry.ai_next
                    var storage = sockaddr_storage()
                    memcpy(&storage, entry.ai_addr, Int(entry.ai_addrlen))
                    let address = try #require(SocketAddress(storage, length: entry.ai_addrlen))
                    if !expected.contains(address) { expected.append(address) }
                }
                #expect(try await loop.resolve(host: host, port: 7) == expected, "\(host)")
            }
        }
    }

    // covers: 268, 273
    @Test(arguments: TestLoop.all)
    func numbersNeedNoLookup(kind: TestLoop) async throws {
        let resolver = SystemResolver(
            askName: { _, _ in .failure(EventLoopError(.resolverFailed, "asked")) },
            ask: { _, _ in .failure(EventLoopError(.resolverFailed, "asked")) })
        try await withLoop(kind) { loop in
            loop.resolver = resolver
            let numbers: NameInfoFlags = [.numericHost, .numericService]
            #expect(try await loop.getNameInfo(Self.address("192.0.2.1", 80), flags: numbers) == ("192.0.2.1", "80"))
            #expect(try await loop.getNameInfo(Self.address("2001:db8::1", 1), flags: numbers) == ("2001:db8::1", "1"))
            // The scope is the name of the interface. Number 1 is the loopback interface.
            let scoped = try await loop.getNameInfo(Self.address("fe80::1%1", 80), flags: numbers)
            #expect(scoped.host.hasPrefix("fe80::1%"))
            #expect(SocketAddress(literal: scoped.host, port: 80) == Self.address("fe80::1%1", 80))
            #expect(loop.statistics.suspensions == 0)
            #expect(
                await asyncCode { _ = try await loop.getNameInfo(Self.address("192.0.2.1", 80)) } == .resolverFailed)
        }
        let unix = try #require(SocketAddress(unixPath: "/tmp/socket"))
        try await withLoop(kind) { loop in
            #expect(await asyncCode { _ = try await loop.getNameInfo(unix) } == .invalidArgument)
        }
    }

    /// Literals with a scope, and what only looks like a literal.
    // covers: 268, 273, 274
    @Test(arguments: TestLoop.all)
    func scopesNeverReachAResolver(kind: TestLoop) async throws {
        let names = NameServer()
        try await withLoop(kind) { loop in
            loop.resolver = names.resolver
            let named = try #require(SocketAddress(literal: "fe80::1%1", port: 7))
            #expect(named.description == "[fe80::1%1]:7")
            #expect(named.withPort(8).description == "[fe80::1%1]:8")
            #expect(try await loop.resolve(host: "fe80::1%1", port: 7) == [named])
            let interface = try await loop.getNameInfo(named, flags: [.numericHost, .numericService]).host
            #expect(try await loop.resolve(host: interface, port: 7) == [named])
            let rejected = [
                "fe80::1%nosuch0", "fe80::1%", "fe80::1%0", "fe80::1%" + String(repeating: "x", count: 100),
                "127.0.0.1%1", "::g", "1:2", "[::1]", "fe80::1%4294967296",
            ]
            for host in rejected {
                let error = await #expect(throws: EventLoopError.self) {
                    _ = try await loop.resolve(host: host, port: 7)
                }
                #expect(error?.code == .unknownHost, "\(host)")
                #expect(error?.description.contains("'\(host)'") == true)
                #expect(await asyncCode { _ = try await loop.openConnection(host: host, port: 7) } == .unknownHost)
            }
            #expect(loop.statistics.suspensions == 0)
        }
        #expect(names.asked.isEmpty)
    }

    // covers: 273
    @Test(.enabled(if: SocketPlace.hasIPv6), arguments: TestLoop.all)
    func connectionToAScopedAddressKeepsPortAndScope(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let server = try await loop.createServer(host: "::1", port: 0) { EchoProtocol() }
            // The kernel ignores the scope of a loopback address.
            let (_, writer) = try await loop.openConnection(host: "::1%1", port: server.port)
            #expect(writer.peerAddress == SocketAddress(literal: "::1%1", port: server.port))
            writer.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
        }
        let address = Self.address("fe80::7%3", 65_535)
        let copy = address.withCAddress { SocketAddress($0.pointee, length: $1) }
        #expect(copy == address)
    }

    // covers: 269
    @Test func missingNameIsAnErrorOfTheResolver() async throws {
        let address = Self.address("192.0.2.1", 80)
        let missing = SystemResolver.error("the name of \(address)", EAI_NONAME, isQuoted: false)
        let resolver = SystemResolver(askName: { _, _ in .failure(missing) }, ask: { _, _ in .success([]) })
        try await withLoop { loop in
            loop.resolver = resolver
            let error = await #expect(throws: EventLoopError.self) {
                _ = try await loop.getNameInfo(address, flags: .nameRequired)
            }
            #expect(error?.code == .unknownHost)
            #expect(error?.description.hasPrefix("cannot resolve the name of 192.0.2.1:80: ") == true)
        }
    }

    // covers: 270, 271, F59
    @Test(arguments: TestLoop.all)
    func namesOfAddressesShareTheThreadsOfHosts(kind: TestLoop) async throws {
        let names = NameServer(resolverLimit: 1)
        try await withLoop(kind) { loop in
            loop.resolver = names.resolver
            let hung = lookUp("hung", names, on: loop)
            await loop.until { names.asked == ["hung"] }
            let address = Self.address("127.0.0.1", 80)
            let name = loop.createTask { try await loop.getNameInfo(address, flags: .numericHost).host }
            let other = loop.createTask { try await loop.getNameInfo(address, flags: .numericHost).host }
            await loop.until { loop.statistics.waitingTasks == 3 }
            #expect(names.resolver.waitingCount == 2 && names.resolver.workers.threadCount == 1)
            other.cancel()
            await #expect(throws: CancellationError.self) { try await other.value }
            #expect(names.resolver.waitingCount == 1)
            names.answerAll()
            try await expectAnswers([hung])
            #expect(try await name.value == "127.0.0.1")
        }
        await names.threadsEnd()
    }
}
