import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Warnings do not go to the exception handler, so that they are not counted as errors.
extension EventLoop {
    /// Called on the loop's thread, or by the loop's `deinit`.
    final func warn(_ kind: LoopWarning.Kind, _ message: String, callSite: CallSite? = nil, duration: Duration? = nil) {
        let warning = LoopWarning(kind, message, callSite: callSite, duration: duration)
        if let handler = core.pointee.debug.options.warningHandler { return handler(warning) }
        writeToStandardError("asyncio: warning: \(warning)")
    }

    /// Warns of a hop, once per function. Called in debug mode only.
    @inline(never) final func warnOfHop(_ function: StaticString) {
        guard core.pointee.debug.reportedHops.insert("\(function)").inserted else { return }
        var name = core.pointee.tasks[.current]?.name
        if #available(macOS 26, *) { name = name ?? Task.name }
        let who = name.map { "task '\($0)'" } ?? "a task"
        warn(.hop, "\(function) was called outside its loop's thread by \(who); the task hopped there and back")
    }

    @inline(never) final func warnOfClosedDescriptor(_ descriptor: FileDescriptor) {
        warn(
            .closedDescriptor,
            "Descriptor \(descriptor.rawValue) was closed while the loop watched it. "
                + "A duplicate of it may still be open, so the loop registered its other descriptors again. "
                + "Call removeReader and removeWriter, or sock.close, before closing a descriptor")
    }

    /// asyncio: `_getaddrinfo_debug`.
    final func warnOfLookup(of host: String, since began: LoopInstant) {
        guard core.pointee.debug.isOn else { return }
        let duration = began.duration(to: now)
        guard duration >= core.pointee.debug.options.slowCallbackDuration else { return }
        warn(.slowLookup, "Resolving \(host) took \(duration.inSeconds) seconds", duration: duration)
    }

    final func warnOfOpenSources() {
        for id in core.pointee.sources.ids {
            guard let source = core.pointee.sources[id]?.pointee, source.isLeftOpen else { continue }
            warn(.unclosed, "\(source.label) was still open when its event loop was closed", callSite: source.origin)
        }
    }

    /// Called by `deinit`, when nothing else references the loop.
    final func warnIfUnclosed() {
        guard core.pointee.debug.isOn, isCreated, !isClosed else { return }
        warn(.unclosed, "\(self) was released without close()")
    }
}

/// Writes the line. If standard error cannot be written to, there is nowhere to report that, and no reason to end.
func writeToStandardError(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { aio_write_error($0.baseAddress!, $0.count) }
}
