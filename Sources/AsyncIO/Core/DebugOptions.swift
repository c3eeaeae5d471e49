import CAsyncIO

/// What debug mode checks, and what receives its warnings; see ``EventLoop/debug``.
public struct DebugOptions: Sendable, CustomStringConvertible {
    /// Whether the loop checks for mistakes that take time to detect. asyncio: `get_debug`, `set_debug`.
    ///
    /// If so, it warns of callbacks, sources and steps of tasks that take long, of slow host name lookups, of
    /// operations that are called outside the loop, and of objects that are released without a close. Wrong threads are
    /// always detected. The default is whether the environment's `ASYNCIO_DEBUG` is `1` or `true`.
    public var isEnabled = aio_environment_flag("ASYNCIO_DEBUG")
    /// How long a callback or a step of a task may run without a warning; 100 ms by default, by the loop's clock.
    /// asyncio: `slow_callback_duration`.
    public var slowCallbackDuration = Duration.milliseconds(100)
    /// Receives the warnings, on any thread; `nil` means the default handler, which writes a line to standard error.
    public var warningHandler: (@Sendable (LoopWarning) -> Void)?

    /// Creates the default options.
    public init() {}

    /// Such as `<DebugOptions off, callbacks are slow from 0.100 s on>`.
    public var description: String {
        "<DebugOptions \(isEnabled ? "on" : "off"), callbacks are slow from \(slowCallbackDuration.inSeconds) s on>"
    }
}

/// The debug options of a loop, and the state of debug mode.
struct DebugMode {
    var options = DebugOptions()
    var reportedHops: Set<String> = []
    /// The task whose first step is running. No reference, because it may have ended by the time of the report.
    var begunTask: TaskInfo?

    var isOn: Bool { options.isEnabled }
}

extension EventLoop {
    /// The options of debug mode: `loop.debug.isEnabled = true`. A change takes effect in the next iteration.
    public final var debug: DebugOptions {
        get {
            requireOnLoop("debug")
            return core.pointee.debug.options
        }
        set {
            requireOnLoop("debug")
            // Objects that the former handler captured may set the options again when they are released.
            let former = core.pointee.debug.options
            core.pointee.debug.options = newValue
            withExtendedLifetime(former) {}
        }
    }
}
