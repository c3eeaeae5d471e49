extension Terminal {
    /// Returns a sequence of the window's sizes, each as soon as it has changed. Changes that follow each other quickly
    /// may be merged. SIGWINCH.
    ///
    /// ```swift
    /// for await size in try terminal.sizes(on: loop) { draw(columns: size.columns, rows: size.rows) }
    /// ```
    ///
    /// The sequence ends when the task is cancelled, when the loop is closed, and when the terminal has no size any
    /// more, because it was closed. Everything else is as in ``EventLoop/signals(_:)``.
    /// - Thread: the loop's; elsewhere it throws `.wrongThread`.
    public func sizes(on loop: EventLoop) throws -> sending LoopSequence<Size, Never> {
        let changes = SizeChanges(self, try loop.signals([.windowChange]))
        return LoopSequence(of: changes) { await unsafeDowncast($0, to: SizeChanges.self).next() }
    }
}

private final class SizeChanges: CustomStringConvertible {
    private let terminal: Terminal
    private let signals: LoopSequence<Signal, Never>
    private var last: Terminal.Size?

    init(_ terminal: Terminal, _ signals: consuming LoopSequence<Signal, Never>) {
        self.terminal = terminal
        self.signals = signals
        last = try? terminal.size
    }

    func next() async -> Terminal.Size? {
        while true {
            // A copy, because another task may call this function meanwhile.
            var signals = signals
            if await signals.next() == nil { return nil }
            guard let size = try? terminal.size else { return nil }
            if size == last { continue }
            last = size
            return size
        }
    }

    var description: String { "\(terminal)" }
}
