import AsyncIO

/// Finds the open TCP ports of a host: `PortScanner HOST FIRST-PORT LAST-PORT`.
@main struct PortScanner: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let first = UInt16(arguments[2]), let last = UInt16(arguments[3]), first <= last
        else {
            return print("usage: PortScanner HOST FIRST-PORT LAST-PORT")
        }
        // The name is looked up once, not once per port.
        guard let host = try await loop.resolve(host: arguments[1], port: first).first?.host else { return }
        let scan = Scan(loop: loop, host: host, ports: first...last)
        try await scan.run(concurrently: 200)
        for port in scan.open.sorted() { print("\(port) open") }
        print("\(scan.open.count) open, \(scan.refusedCount) refused, \(scan.silentCount) silent")
    }
}

/// The result of a scan. The workers share it without a lock, because they run on one thread.
final class Scan {
    private(set) var open: [UInt16] = []
    private(set) var refusedCount = 0
    private(set) var silentCount = 0
    private let loop: EventLoop
    private let host: String
    private var ports: ClosedRange<UInt16>.Iterator

    init(loop: EventLoop, host: String, ports: ClosedRange<UInt16>) {
        (self.loop, self.host, self.ports) = (loop, host, ports.makeIterator())
    }

    /// Runs a number of workers, each of which takes the next port until there are no more. Their number limits the
    /// descriptors in use, because each connection needs one.
    func run(concurrently count: Int) async throws {
        try await withLoopTaskGroup { group in
            for _ in 0..<count {
                group.createTask { while let port = self.ports.next() { try await self.probe(port) } }
            }
        }
    }

    private func probe(_ port: UInt16) async throws {
        do {
            let (_, writer) = try await withTimeout(.seconds(1)) {
                try await self.loop.openConnection(host: self.host, port: port)
            }
            writer.abort()
            open.append(port)
        } catch is ConnectError {
            refusedCount += 1
        } catch let error as EventLoopError where error.code == .timedOut {
            silentCount += 1
        }
    }
}
