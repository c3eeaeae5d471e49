import AsyncIO
import Selectors

/// Counts what another selector does. The loop takes any class that conforms to `BaseSelector`.
final class CountingSelector: BaseSelector {
    private let selector: any BaseSelector
    private(set) var waits = 0
    private(set) var events = 0

    init(around selector: any BaseSelector) {
        self.selector = selector
    }

    var supportsEdgeTrigger: Bool { selector.supportsEdgeTrigger }
    var descriptorLimit: Int? { selector.descriptorLimit }

    func register(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        try selector.register(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func modify(_ descriptor: FileDescriptor, interest: Interest, trigger: Trigger, token: UInt64) throws(Errno) {
        try selector.modify(descriptor, interest: interest, trigger: trigger, token: token)
    }

    func unregister(_ descriptor: FileDescriptor) throws(Errno) {
        try selector.unregister(descriptor)
    }

    func wait(timeoutNanoseconds: Int64?, into events: inout [ReadyEvent]) throws(Errno) {
        try selector.wait(timeoutNanoseconds: timeoutNanoseconds, into: &events)
        waits += 1
        self.events += events.count
    }

    func close() {
        selector.close()
    }
}

final class CountingLoop: SelectorEventLoop, @unchecked Sendable {
    let counter: CountingSelector

    init() throws {
        counter = CountingSelector(around: try DefaultSelector.make())
        try super.init(selector: counter)
    }
}

/// Sends lines to an echo server on the same loop, and prints how often the selector waited and what it reported.
@main struct CustomSelector: EventLoopMain {
    static func makeLoop() throws -> EventLoop { try CountingLoop() }

    static func main(on loop: EventLoop) async throws {
        let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
            while let line = try await reader.readLine() { try await writer.write(line + "\n") }
        }
        try await loop.withConnection(host: "127.0.0.1", port: server.localAddresses[0].port!) { reader, writer in
            for number in 1...100 {
                try await writer.write("line \(number)\n")
                _ = try await reader.readLine()
            }
        }
        server.close()
        try await server.waitClosed()
        if let counter = (loop as? CountingLoop)?.counter {
            print("100 lines there and back: \(counter.waits) waits, \(counter.events) events")
        }
    }
}
