import AsyncIO

/// Starts to listen on the loop, counts in the totals and reports errors to the report.
typealias ServerStart = @Sendable (EventLoop, Totals, ErrorReport) async throws -> Server

/// Runs a server until SIGINT or SIGTERM, and then prints a summary.
///
/// Throws if the loop cannot be created or the server cannot listen.
func serve(on kind: LoopKind, _ start: @escaping ServerStart) throws {
    func makeLoop() throws -> EventLoop { try kind.makeLoop() }
    let summary = try run(loopFactory: makeLoop) { try await serveUntilSignal(start) }
    // The tasks that remained have ended too.
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
    // Before the server listens, because a lookup may take long, and a program that reads the first line may send a
    // signal at once.
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
