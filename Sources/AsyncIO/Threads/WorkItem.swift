import SystemPackage

/// Work that blocks its thread, for ``WorkerThreads``.
///
/// One object holds the request, the result, and where to send the result. A message to a loop can be the work item
/// itself: ``perform()`` stores the result in it, and ``finish()`` posts it to the inbox of the loop.
protocol WorkItem: AnyObject, Sendable {
    /// Does the work on one of the threads, and stores its result.
    func perform()

    /// Publishes the result, on the same thread, which counts as free from now on: when the receiver
    /// of the result submits the next item, no further thread is started for it. Must not block.
    func finish()

    /// Publishes that no thread could be started, in place of the other two calls. On the thread that submitted an item
    /// or raised the limit.
    func fail(_ error: Errno)
}

extension WorkItem {
    /// Does nothing, for work without a result.
    func finish() {}
}
