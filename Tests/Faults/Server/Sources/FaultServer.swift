import AsyncIO
import Glibc

/// A server for `scripts/faults` that sends back what it gets, through functions of the library that `aio` does not
/// use.
///
///     FaultServer STYLE LOOP
///
/// It behaves as a server of `aio` does: its first line names its address, SIGTERM ends it, and it reports what fails.
@main
struct FaultServer {
    static func main() {
        ignoreBrokenPipes()
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 2, let style = Style(rawValue: arguments[1]),
            let kind = LoopKind(rawValue: arguments[2])
        else {
            complain("usage: FaultServer \(Style.allCases.map(\.rawValue).joined(separator: "|")) LOOP")
            exit(2)
        }
        do {
            func makeLoop() throws -> EventLoop { try kind.makeLoop() }
            say(try run(loopFactory: makeLoop) { try await serve(style) })
        } catch {
            complain("\(error)")
            exit(1)
        }
    }
}

/// Which functions of the library serve the clients.
enum Style: String, CaseIterable {
    /// `StreamWriter.sendFile`.
    case files
    /// The raw operations of `loop.sock`.
    case sockets
    /// `loop.sock.sendFile`.
    case socketFiles = "socket-files"
}

/// Serves until SIGTERM, and returns the summary.
private func serve(_ style: Style) async throws -> String {
    let loop = try getRunningLoop()
    let service = Service(loop, style)
    let serving = loop.createTask { try await service.run() }
    var isEnding = false
    try loop.addSignalHandler(.terminate) {
        isEnding = true
        serving.cancel()
    }
    do { try await serving.value } catch is CancellationError where isEnding {}
    return service.summary
}
