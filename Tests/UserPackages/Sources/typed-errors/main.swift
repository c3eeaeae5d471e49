// Release builds of programs like this one crashed the compiler (6.3.1): async functions that call a function with a
// typed error in a loop, or in a scope.
import AsyncIO

final class Receiver: DatagramProtocol {
    var count = 0

    func connectionMade(_ transport: DatagramTransport) {}
    func datagramReceived(_ bytes: RawSpan, from address: SocketAddress?) { count += 1 }
    func connectionLost(_ error: (any Error)?) {}
}

try run { loop in
    let server = try await loop.createDatagramEndpoint(local: .host("127.0.0.1", port: 0)) { Receiver() }
    let target = Endpoint.address(server.transport.localAddress!)
    let one = try await loop.createDatagramEndpoint(remote: target) { Receiver() }
    let other = try await loop.createDatagramEndpoint(remote: target) { Receiver() }
    for number in 0..<20 {
        try (number % 3 == 0 ? one : other).transport.send("\(number)")
    }
    while server.protocol.count < 20 { try await loop.sleep(for: .milliseconds(1)) }

    let condition = Condition()
    var isSet = false
    let waiting = loop.createTask {
        try await condition.withLock {
            try await condition.wait { isSet }
            return true
        }
    }
    try await condition.withLock {
        isSet = true
        try condition.notifyAll()
    }
    let wasMet = try await waiting.value
    precondition(wasMet)
    for transport in [server.transport, one.transport, other.transport] { transport.close() }
}
print("ok: typed errors")
