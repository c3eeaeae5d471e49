import AsyncIO

/// Tells on standard error what went wrong while serving.
///
/// The same sentence comes at most once a second: a flood of clients must not become a flood of lines. The loop's
/// thread.
final class ErrorReport {
    private static let interval = Duration.seconds(1)

    private let loop: EventLoop
    /// The sentences of the last second, and how often they came again.
    private var repetitions: [String: Int] = [:]

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func add(_ sentence: String) {
        if let count = repetitions[sentence] {
            repetitions[sentence] = count + 1
        } else {
            complain(sentence)
            silence(sentence)
        }
    }

    /// What nobody caught, except for what happens to every server's connections.
    func add(_ context: ExceptionContext) {
        if context.transport != nil, let error = context.error, error.isEndOfConnection { return }
        var context = context
        // Places in the tool's own sources tell its users nothing.
        (context.origin, context.callSite) = (nil, nil)
        add("\(context)")
    }

    /// Tells what was held back.
    func flush() {
        for (sentence, count) in repetitions where count > 0 { tell(sentence, again: count) }
        repetitions = [:]
    }

    private func silence(_ sentence: String) {
        repetitions[sentence] = 0
        loop.callLater(after: Self.interval) { [self] in
            guard let count = repetitions.removeValue(forKey: sentence), count > 0 else { return }
            tell(sentence, again: count)
            silence(sentence)
        }
    }

    private func tell(_ sentence: String, again count: Int) {
        complain("\(sentence) (\(count) more)")
    }
}

extension Error {
    /// Whether it is how one connection ended, in a network or by ourselves: reset, timed out, closed.
    fileprivate var isEndOfConnection: Bool {
        switch self {
        case let error as EventLoopError: error.code == .closed
        default: self is IOError || self is CancellationError
        }
    }
}
