import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// A resolver of the program in place of the system's.
struct ReplacedResolverTests {
    struct ExampleError: Error, Equatable {}

    /// Answers as the test says, and counts the lookups.
    final class ScriptedResolver: Resolver {
        typealias Found = @Sendable ([SocketAddress]) -> Void
        private let script: @Sendable (String, UInt16, @escaping Found) async throws -> Void
        let asked = Locked([String]())

        init(_ script: @escaping @Sendable (String, UInt16, @escaping Found) async throws -> Void) {
            self.script = script
        }

        func addresses(of host: String, port: UInt16) async throws -> [SocketAddress] {
            let all = Locked([SocketAddress]())
            try await findAddresses(of: host, port: port) { found in all.withLock { $0 += found } }
            return all.withLock { $0 }
        }

        func findAddresses(of host: String, port: UInt16, found: @escaping Found) async throws {
            asked.withLock { $0.append(host) }
            try await script(host, port, found)
        }

        func name(of address: SocketAddress, flags: NameInfoFlags) async throws -> (host: String, service: String) {
            asked.withLock { $0.append("\(address) \(flags)") }
            return ("host.example", "service")
        }
    }

    /// A resolver with the one function that a simple one needs.
    private struct OneName: Resolver {
        let literal: String

        func addresses(of host: String, port: UInt16) async throws -> [SocketAddress] {
            guard host == "name.example", let address = SocketAddress(literal: literal, port: port) else {
                throw ExampleError()
            }
            return [address]
        }
    }

    private static func address(_ literal: String, _ port: UInt16) -> SocketAddress {
        SocketAddress(literal: literal, port: port)!
    }

    // covers: 268, 269
    @Test(arguments: TestLoop.all)
    func everythingThatNeedsNamesAsksTheResolverOfTheLoop(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            #expect(loop.resolver is SystemResolver)
            loop.resolver = OneName(literal: "127.0.0.1")
            let server = try await loop.createServer(on: .host("name.example", port: 0)) { EchoProtocol() }
            #expect(server.localAddresses.map(\.host) == ["127.0.0.1"])
            #expect(try await loop.resolve(host: "name.example", port: 7) == [Self.address("127.0.0.1", 7)])
            let (reader, writer) = try await loop.openConnection(host: "name.example", port: server.port)
            try await writer.write("hello")
            #expect(try await reader.readExactly(5) == Array("hello".utf8))
            writer.close()
            let several = Endpoint.hosts(["127.0.0.1", "name.example"], port: server.port)
            let (transport, _) = try await loop.createConnection(to: several) { Recorder() }
            transport.close()
            let socket = try Socket.stream(.ipv4)
            try await loop.sock.connect(socket, host: "name.example", port: server.port)
            try loop.sock.close(socket)

            await #expect(throws: ExampleError.self) { _ = try await loop.resolve(host: "other.example", port: 7) }
            await #expect(throws: ExampleError.self) {
                _ = try await loop.openConnection(host: "other.example", port: server.port)
            }
            // Literals are not names.
            #expect(try await loop.resolve(host: "127.0.0.3", port: 7) == [Self.address("127.0.0.3", 7)])
            await loop.until { server.acceptedCount == 3 && server.connectionCount == 0 }
            server.close()
        }
    }

    /// It may therefore use the loop.
    // covers: 270
    @Test(arguments: TestLoop.all)
    func lookupRunsInATaskOfTheLoop(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let resolver = ScriptedResolver { [weak loop] _, port, found in
                #expect(loop?.isOnLoop == true)
                try await loop?.sleep(for: .seconds(3))
                #expect(loop?.isOnLoop == true)
                found([Self.address("192.0.2.1", port)])
            }
            loop.resolver = resolver
            let began = clock.now
            async let other = loop.resolve(host: "other.example", port: 8)
            let addresses = try await loop.resolve(host: "name.example", port: 7)
            #expect(addresses == [Self.address("192.0.2.1", 7)])
            #expect(try await other == [Self.address("192.0.2.1", 8)])
            #expect(began.duration(to: clock.now) == .seconds(3))
            let names = try await loop.getNameInfo(Self.address("192.0.2.1", 80), flags: .nameRequired)
            #expect(names == ("host.example", "service"))
            #expect(
                Set(resolver.asked.withLock { $0 }) == [
                    "other.example", "name.example", "192.0.2.1:80 [nameRequired]",
                ])
        }
    }

    // covers: 271, F59
    @Test(arguments: TestLoop.all)
    func cancellingALookupReturnsAtOnceEvenIfTheResolverIgnoresIt(kind: TestLoop) async throws {
        let gate = Promised()
        try await withLoop(kind) { loop in
            let resolver = ScriptedResolver { _, _, found in
                await gate.wait()
                found([Self.address("192.0.2.1", 7)])
            }
            loop.resolver = resolver
            let lookup = loop.createTask { try await loop.resolve(host: "a.example", port: 7) }
            let connecting = loop.createTask { _ = try await loop.openConnection(host: "b.example", port: 7) }
            await loop.until { resolver.asked.withLock { $0.count } == 2 }
            lookup.cancel()
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await lookup.value }
            await #expect(throws: CancellationError.self) { try await connecting.value }
            #expect(loop.statistics.waitingTasks == 0 && loop.statistics.tasks == 1)
            gate.open()
        }
    }

    /// Something for which a task waits and which ignores cancellation.
    private final class Promised: Sendable {
        private let state = Locked((isOpen: false, waiters: [CheckedContinuation<Void, Never>]()))

        func wait() async {
            await withCheckedContinuation { continuation in
                let isOpen = state.withLock { state in
                    if !state.isOpen { state.waiters.append(continuation) }
                    return state.isOpen
                }
                if isOpen { continuation.resume() }
            }
        }

        func open() {
            let waiters = state.withLock { state in
                state.isOpen = true
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume() }
        }
    }

    // covers: 271
    @Test func resolverOfTheSystemCanBeAskedDirectly() async throws {
        let names = NameServer()
        let task = Task { try await names.resolver.addresses(of: "hung", port: 7) }
        while names.asked.isEmpty { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await names.resolver.addresses(of: "127.0.0.1", port: 7) == [Self.address("127.0.0.1", 7)])
        await #expect(throws: EventLoopError.self) { try await names.resolver.addresses(of: "1:2", port: 7) }
        names.answerAll()
        #expect(try await names.resolver.addresses(of: "name.example", port: 7) == NameServer.addresses(7))
        #expect(names.asked == ["hung", "name.example"])
        await names.threadsEnd()
    }

    enum Answers: CaseIterable {
        case ipv4First, ipv4FirstIPv6Late, ipv4FirstIPv6Never, ipv4FirstThenError
        case ipv6First, ipv6FirstThenError, together, reversed

        /// The host that the client reaches, and when.
        var expected: (host: String, milliseconds: Int) {
            switch self {
            case .ipv4First: ("::1", 30)
            case .ipv4FirstIPv6Late, .ipv4FirstIPv6Never: ("127.0.0.1", 50)
            case .ipv4FirstThenError: ("127.0.0.1", 30)
            case .ipv6First, .ipv6FirstThenError, .together: ("::1", 0)
            case .reversed: ("127.0.0.1", 0)
            }
        }

        func give(_ port: UInt16, _ loop: EventLoop, _ found: ScriptedResolver.Found) async throws {
            let (ipv4, ipv6) = (
                ReplacedResolverTests.address("127.0.0.1", port), ReplacedResolverTests.address("::1", port)
            )
            switch self {
            case .ipv4First, .ipv4FirstIPv6Late, .ipv4FirstIPv6Never:
                found([ipv4])
                try await loop.sleep(
                    for: self == .ipv4First
                        ? .milliseconds(30) : self == .ipv4FirstIPv6Late ? .milliseconds(60) : .seconds(86_400))
                found([ipv6])
            case .ipv6First:
                found([ipv6])
                try await loop.sleep(for: .milliseconds(30))
                found([ipv4])
            case .ipv4FirstThenError, .ipv6FirstThenError:
                found([self == .ipv4FirstThenError ? ipv4 : ipv6])
                try await loop.sleep(for: .milliseconds(30))
                throw ExampleError()
            case .together: found([ipv6, ipv4])
            case .reversed: found([ipv4, ipv6])
            }
        }
    }

    // covers: 275
    @Test(.enabled(if: SocketPlace.hasIPv6), arguments: TestLoop.all, Answers.allCases)
    func answersOfBothFamiliesLeadToAConnection(kind: TestLoop, answers: Answers) async throws {
        try await withVirtualTimeLoop(kind) { loop, clock in
            let kept = try KeptPort("127.0.0.1", "::1")
            defer { kept.close() }
            let addresses = ["127.0.0.1", "::1"].map { Self.address($0, kept.number) }
            let server = try await loop.createServer(on: .addresses(addresses)) { EchoProtocol() }
            loop.resolver = ScriptedResolver { [weak loop] _, port, found in
                if let loop { try await answers.give(port, loop, found) }
            }
            let began = clock.now
            let (_, writer) = try await loop.openConnection(host: "name.example", port: kept.number)
            #expect(writer.peerAddress?.host == answers.expected.host)
            #expect(began.duration(to: clock.now) == .milliseconds(answers.expected.milliseconds))
            writer.close()
            await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
            server.close()
        }
    }

    // covers: 269, 275
    @Test(arguments: TestLoop.all)
    func lookupWithoutAddressesIsAnError(kind: TestLoop) async throws {
        try await withVirtualTimeLoop(kind) { loop, _ in
            loop.resolver = ScriptedResolver { [weak loop] host, port, found in
                try await loop?.sleep(for: .milliseconds(10))
                if host == "none.example" { return found([]) }
                throw ExampleError()
            }
            let error = await #expect(throws: ConnectError.self) {
                _ = try await loop.openConnection(host: "none.example", port: 7)
            }
            #expect(error?.description == "cannot connect to none.example:7: the host has no address")
            await #expect(throws: ExampleError.self) {
                _ = try await loop.openConnection(host: "error.example", port: 7)
            }
        }
    }

    // covers: 272
    @Test(arguments: TestLoop.all)
    func loopIsClosedWhileItsResolverIsAsked(kind: TestLoop) async throws {
        let task = try await withLoopThread(kind) { loop in
            let resolver = ScriptedResolver { [weak loop] _, _, _ in try await loop?.sleep(for: .seconds(86_400)) }
            loop.resolver = resolver
            let task = Task(executorPreference: loop) { _ = try await loop.openConnection(host: "a.example", port: 7) }
            repeat {
                loop.stop()
                try loop.runForever()
            } while resolver.asked.withLock { $0.isEmpty }
            try loop.close()
            return task
        }
        #expect(await asyncCode { try await task.value } == .closed)
    }
}
