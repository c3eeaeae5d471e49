import AsyncIO

/// What a command runs until SIGINT or SIGTERM.
///
/// - Thread: the loop's.
protocol Service {
    /// Where it listens.
    var addresses: [SocketAddress] { get }

    /// Returns when it has ended.
    func waitClosed() async throws

    /// Ends it, and every connection, at once.
    func end()
}

extension Server: Service {
    var addresses: [SocketAddress] { localAddresses }

    func end() {
        close()
        abortClients()
    }
}

/// Starts to listen on the loop, counts in the totals and reports errors to the report.
typealias ServiceStart = @Sendable (EventLoop, Totals, ErrorReport) async throws -> any Service

/// Serves on an endpoint until SIGINT or SIGTERM, and then prints a summary.
///
/// Throws if the loop cannot be created or the service cannot listen.
func serve(on listen: EndpointArgument, _ loop: LoopOption, _ start: @escaping ServiceStart) throws {
    let kind = try loop.kind
    func makeLoop() throws -> EventLoop { try kind.makeLoop() }
    let summary = try run(loopFactory: makeLoop) { try await serveUntilSignal(listen, start) }
    // The tasks that remained have ended too.
    say(summary)
}

private func serveUntilSignal(_ listen: EndpointArgument, _ start: @escaping ServiceStart) async throws -> String {
    let loop = try getRunningLoop()
    let totals = Totals(counting: listen.isDatagram ? .datagrams : .connections)
    let report = ErrorReport(loop)
    loop.setExceptionHandler { _, context in report.add(context) }

    var service: (any Service)?
    let serving = loop.createTask {
        let started = try await start(loop, totals, report)
        service = started
        say("listening on \(listen.text(of: started.addresses)) (\(loop.backendName))")
        let rates = RateLine(totals, on: loop)
        defer { rates.stop() }
        try await started.waitClosed()
    }
    var isEnding = false
    // Before it listens, because a lookup may take long, and a program that reads the first line may send a signal at
    // once.
    for signal in [Signal.interrupt, .terminate] {
        try loop.addSignalHandler(signal) {
            isEnding = true
            guard let service else { return serving.cancel() }
            service.end()
        }
    }
    do { try await serving.value } catch is CancellationError where isEnding {}
    report.flush()
    return totals.summary
}
