import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// Warnings go beside the exception handler, so that nobody counts them as errors.
extension EventLoop {
    /// The loop's thread, in debug mode.
    final func warn(_ warning: LoopWarning) {
        if let handler = core.pointee.debug.options.warningHandler { return handler(warning) }
        var text = "asyncio: warning: \(warning)\n"
        text.withUTF8 { aio_write_error($0.baseAddress!, $0.count) }
    }
}

extension EventLoop {
    /// In debug mode, once per function.
    @inline(never)
    final func warnOfHop(_ function: StaticString) {
        guard core.pointee.debug.reportedHops.insert("\(function)").inserted else { return }
        var who = "a task"
        if let name = core.pointee.runningTasks[.current]?.name {
            who = "task '\(name)'"
        } else if #available(macOS 26, *), let name = Task.name {
            who = "task '\(name)'"
        }
        warn(LoopWarning(.hop, "\(function) was called off its event loop by \(who), which had to hop there and back"))
    }

    @inline(never)
    final func warnOfClosedDescriptor(_ descriptor: FileDescriptor) {
        warn(
            LoopWarning(
                .closedDescriptor,
                "Descriptor \(descriptor.rawValue) was closed while it was watched, and a duplicate of it is open elsewhere; "
                    + "call removeReader and removeWriter, or sockClose, before it is closed"))
    }

    /// In debug mode. asyncio: `_getaddrinfo_debug`.
    final func warnOfLookup(of host: String, since began: LoopInstant) {
        guard core.pointee.debug.isOn else { return }
        let duration = began.duration(to: now)
        guard duration >= core.pointee.debug.options.slowCallbackDuration else { return }
        warn(
            LoopWarning(.slowLookup, "Resolving '\(host)' took \(duration.inSeconds) seconds", duration: duration))
    }

    /// In debug mode, when the loop is closed: what it still has to free itself.
    final func warnOfOpenSources() {
        for name in core.pointee.sources.names {
            guard let source = core.pointee.sources[name]?.pointee, source.isLeftOpen else { continue }
            warn(
                LoopWarning(
                    .unclosed, "\(source.label) was still open when its event loop was closed",
                    callSite: source.origin))
        }
    }

    /// From `deinit`: nobody else has the loop any more.
    final func warnIfUnclosed() {
        guard core.pointee.debug.isOn, let origin, !isClosed else { return }
        warn(LoopWarning(.unclosed, "an event loop was dropped without close()", callSite: origin))
    }
}
