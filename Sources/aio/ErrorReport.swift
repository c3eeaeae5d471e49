import AsyncIO

/// Reports on standard error what fails while serving.
///
/// The same message is printed at most once a second, so that many clients do not cause as many lines.
///
/// - Thread: the loop's.
final class ErrorReport {
    private static let interval = Duration.seconds(1)

    private let loop: EventLoop
    /// The messages of the last second, and how often each of them was suppressed.
    private var repetitions: [String: Int] = [:]

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func add(_ message: String) {
        if let count = repetitions[message] {
            repetitions[message] = count + 1
        } else {
            complain(message)
            silence(message)
        }
    }

    /// Reports an uncaught error, unless it is how a connection ended.
    func add(_ context: ExceptionContext) {
        if context.transport != nil, let error = context.error, error.isConnectionClosed || error is CancellationError {
            return
        }
        var context = context
        // Call sites in the sources of this tool do not help its users.
        (context.origin, context.callSite) = (nil, nil)
        add("\(context)")
    }

    /// Prints how often messages were suppressed.
    func flush() {
        for (message, count) in repetitions where count > 0 { summarize(message, count) }
        repetitions = [:]
    }

    private func silence(_ message: String) {
        repetitions[message] = 0
        loop.callLater(after: Self.interval) { [self] in
            guard let count = repetitions.removeValue(forKey: message), count > 0 else { return }
            summarize(message, count)
            silence(message)
        }
    }

    private func summarize(_ message: String, _ count: Int) {
        complain("\(message) (\(count) more)")
    }
}
