import AsyncIO

// Protocols: a factory and its result, futures and promises, and callbacks that reach what the protocols share.

final class Counting: StreamProtocol {
    private let totals: Totals
    private var transport: StreamTransport?

    init(_ totals: Totals) { self.totals = totals }

    func connectionMade(_ transport: StreamTransport) { self.transport = transport }

    func dataReceived(_ data: RawSpan) {
        totals.bytes += data.byteCount
        transport?.write(data)
        transport?.loop.callSoon { self.totals.callbacks += 1 }
    }

    func connectionLost(_ error: (any Error)?) { transport = nil }
}

final class Asking: StreamProtocol {
    let answer: Future<Int>
    private var bytes = 0

    init(on loop: EventLoop) { answer = loop.createFuture() }

    func connectionMade(_ transport: StreamTransport) {
        transport.write("hello")
        transport.writeEOF()
    }

    func dataReceived(_ data: RawSpan) { bytes += data.byteCount }

    func connectionLost(_ error: (any Error)?) { try? answer.setResult(bytes) }
}

final class Totals {
    var bytes = 0
    var callbacks = 0
}

func wait(for answer: Future<Int>) async throws -> Int {
    try await answer.value
}

func push(on loop: EventLoop) async throws {
    let totals = Totals()
    let server = try await loop.createServer(host: "127.0.0.1", port: 0) { Counting(totals) }
    let port = server.localAddresses[0].port!
    let (transport, asking) = try await loop.createConnection(host: "127.0.0.1", port: port) { Asking(on: loop) }
    let bytes = try await wait(for: asking.answer)
    let again = try await wait(for: asking.answer)
    precondition(bytes == 5 && again == 5 && totals.bytes == 5 && totals.callbacks == 1 && transport.isClosing)

    let future: Future<Int> = loop.createFuture()
    let promise = future.makePromise()
    let computing = Task.detached { try promise.setResult(42) }
    let computed = try await wait(for: future)
    try await computing.value
    precondition(computed == 42)

    let timed: Future<Totals> = loop.createFuture()
    loop.callLater(after: .milliseconds(1)) { try timed.setResult(totals) }
    let value = try await timed.value
    precondition(value === totals)
    server.close()
    try await server.waitClosed()
}
