import AsyncIO
import AsyncIOSystem
import CAsyncIO
import Selectors
import SystemPackage
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The selectors of this system, for tests that each of them has to pass.
struct SystemSelector: Sendable, CustomTestStringConvertible {
    let name: String
    /// The numbers from here on are for this selector's tests, ten for each test, so that none reuses another's.
    let firstNumber: CInt
    let make: @Sendable () throws -> any KeyedSelector

    var testDescription: String { name }

    static let all = DefaultSelector.candidates.enumerated().map { index, candidate in
        SystemSelector(name: candidate.name, firstNumber: CInt(700 + 100 * index), make: candidate.make)
    }
    static let best = all[0]
    static let poll = all[1]

    /// Makes a loop over it whose waits and changes are counted.
    var countingLoop: @Sendable () throws -> CountingLoop {
        { try CountingLoop(make()) }
    }
}

extension BaseSelector {
    /// The events of one wait.
    func events(within timeout: Duration? = .zero) throws(Errno) -> [ReadyEvent] {
        var events: [ReadyEvent] = []
        let nanoseconds = timeout.map {
            $0.components.seconds * 1_000_000_000 + $0.components.attoseconds / 1_000_000_000
        }
        try wait(timeoutNanoseconds: nanoseconds, into: &events)
        return events
    }

    func register(_ descriptor: FileDescriptor, _ interest: Interest, token: UInt64 = 1) throws(Errno) {
        try register(descriptor, interest: interest, trigger: .level, token: token)
    }

    func modify(_ descriptor: FileDescriptor, _ interest: Interest, token: UInt64 = 1) throws(Errno) {
        try modify(descriptor, interest: interest, trigger: .level, token: token)
    }
}

/// The reason that `body` fails with.
func errno(_ body: () throws(Errno) -> Void) -> Errno? {
    do { try body() } catch { return error }
    return nil
}

/// A pair of connected sockets, or none. Closed at the end.
func withSockets(_ body: (Socket, Socket) throws -> Void) throws {
    let (near, far) = try Socket.pair()
    defer {
        near.close()
        far.close()
    }
    try body(near, far)
}

extension Socket {
    func put(_ text: String) {
        let sent = Array(text.utf8).withUnsafeBytes { send($0) }
        guard case .bytes = sent else { preconditionFailure("the socket takes nothing") }
    }

    /// Sends until it would block.
    func fill() {
        let bytes = [UInt8](repeating: 0, count: 65536)
        while case .bytes = bytes.withUnsafeBytes({ send($0) }) {}
    }

    /// Receives until it would block.
    func empty() {
        var bytes = [UInt8](repeating: 0, count: 65536)
        while case .bytes(let count) = bytes.withUnsafeMutableBytes({ receive(into: $0) }), count > 0 {}
    }
}

/// A duplicate whose number is `number` or higher. The process may have so many: the tests' limit is raised.
func duplicate(_ descriptor: FileDescriptor, from number: CInt) throws -> FileDescriptor {
    allowManyDescriptors()
    let copy = fcntl(descriptor.rawValue, F_DUPFD_CLOEXEC, number)
    if copy < 0 { throw Errno(rawValue: errno) }
    return FileDescriptor(rawValue: copy)
}

private func allowManyDescriptors() {
    var limit = rlimit()
    #if os(Linux)
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    if limit.rlim_cur < 4096 {
        limit.rlim_cur = min(4096, limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
    #else
    getrlimit(RLIMIT_NOFILE, &limit)
    if limit.rlim_cur < 4096 {
        limit.rlim_cur = min(4096, limit.rlim_max)
        setrlimit(RLIMIT_NOFILE, &limit)
    }
    #endif
}

/// Makes `number` a duplicate of `descriptor`, whatever it was before.
func replace(_ number: FileDescriptor, by descriptor: FileDescriptor) throws {
    if dup2(descriptor.rawValue, number.rawValue) < 0 { throw Errno(rawValue: errno) }
}

/// Both ends of a TCP connection.
func connectedByTCP() throws -> (Socket, Socket) {
    let any = try #require(SocketAddress(literal: "127.0.0.1", port: 0))
    let listener = try Socket.stream(for: any)
    defer { listener.close() }
    try listener.bind(to: any)
    try listener.listen(backlog: 1)
    let address = try #require(listener.localAddress)
    let client = try Socket.stream(for: address)
    _ = try client.connect(to: address)
    // The client may be connected before its last message has reached the listener.
    let selector = PollSelector()
    try selector.register(listener.descriptor, .read)
    _ = try selector.events(within: .seconds(20))
    return (client, try #require(try listener.accept()).socket)
}
