import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Foundation
import Testing

/// Signals that interrupt the system calls of a loop which serves.
struct SignalStormTests {
    // covers: 325
    @Test(.startsProcess) func stormOfSignalsDuringTrafficIsSurvivedAndSIGTERMEndsTheProgramInOrder() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            // Without SA_RESTART, so that waits and other slow calls end with EINTR.
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in }
            for signal in [SIGUSR2, SIGWINCH, SIGURG] { sigaction(signal, &action, nil) }
            // The first time, the runtime opens what it retains.
            try OtherThread.run { try Self.serve(on: TestLoop(.auto)) }
            let before = openDescriptors()
            for kind in TestLoop.all { try OtherThread.run { try Self.serve(on: kind) } }
            // The test runner may open some meanwhile, but not one for each loop.
            guard openDescriptors() < before + TestLoop.all.count else { exit(2) }
        }
    }

    /// Serves on a new loop of the calling thread, which gets signals until the clients have what they want, and then
    /// SIGTERM.
    private static func serve(on kind: TestLoop) throws {
        let loop = try kind.makeLoop()
        unblock(SIGUSR2, SIGWINCH, SIGURG)
        let thread = pthread_self()
        let mustEnd = Flag()
        let storm = OtherThread {
            var count = 0
            while !mustEnd.isSet {
                for signal in [SIGUSR2, SIGWINCH, SIGURG] { pthread_kill(thread, signal) }
                count += 1
                // The loop gets on, too.
                if count % 8 == 0 { usleep(100) }
            }
            kill(getpid(), SIGTERM)
        }
        let report = try loop.runUntilComplete {
            let signals = try loop.signals([.terminate])
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
                while let line = try await reader.readLine() { try await writer.write(line + "\n") }
            }
            let clients = (0..<4).map { number in
                loop.createTask {
                    let (reader, writer) = try await loop.openConnection(to: .address(server.address))
                    for message in 0..<100 {
                        let text = "\(number): \(message) " + String(repeating: "x", count: message * 50)
                        try await writer.write(text + "\n")
                        try await loop.sleep(for: .microseconds(10))
                        let answer = try await reader.readLine()
                        guard answer == text else { throw EventLoopError(.busy, "\(answer ?? "EOF")") }
                    }
                    writer.close()
                    try await writer.waitClosed()
                }
            }
            for client in clients { try await client.value }
            mustEnd.set()
            for await _ in signals { break }
            return try await server.shutDown(within: .seconds(10))
        }
        storm.join()
        guard report.aborted == 0, loop.statistics.unhandledErrors == 0 else { exit(3) }
        try loop.close()
    }
}
