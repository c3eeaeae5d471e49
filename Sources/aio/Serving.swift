import AsyncIO

/// Begins to listen on the loop; what the server does and what goes wrong is told to the other two.
typealias ServerStart = @Sendable (EventLoop, Totals, ErrorReport) async throws -> Server

/// Runs a server until SIGINT or SIGTERM, and then says what it did.
///
/// Throws why the loop cannot be made or the server cannot listen.
func serve(on kind: LoopKind, _ start: @escaping ServerStart) throws {
    func makeLoop() throws -> EventLoop { try kind.makeLoop() }
    let summary = try run(loopFactory: makeLoop) { try await serveUntilSignal(start) }
    // What was left of the tasks has ended too.
    say(summary)
}

private func serveUntilSignal(_ start: @escaping ServerStart) async throws -> String {
    let loop = try getRunningLoop()
    let totals = Totals()
    let report = ErrorReport(loop)
    loop.setExceptionHandler { _, context in report.add(context) }

    var server: Server?
    let serving = loop.createTask {
        let started = try await start(loop, totals, report)
        server = started
        let addresses = started.localAddresses.map { "\($0)" }.joined(separator: ", ")
        say("listening on \(addresses) (\(loop.backendName))")
        try await started.waitClosed()
    }
    var isEnding = false
    // Before the server listens: a name server may take its time, and whoever reads the first line may send at once.
    for signal in [Signal.interrupt, .terminate] {
        try loop.addSignalHandler(signal) {
            isEnding = true
            guard let server else { return serving.cancel() }
            server.close()
            server.abortClients()
        }
    }
    do { try await serving.value } catch is CancellationError where isEnding {}
    report.flush()
    return totals.summary
}
