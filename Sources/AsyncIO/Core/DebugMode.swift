import CAsyncIO

/// What a loop looks for when it is asked to look.
struct DebugMode {
    /// Read once per loop, when it is made.
    var isOn = aio_environment_flag("ASYNCIO_DEBUG")
    var slowCallbackDuration = Duration.milliseconds(100)
    var warningHandler: EventLoop.WarningHandler?
    /// The functions whose hops were told.
    var reportedHops: Set<String> = []
    /// The task whose first step is running; no reference, since it may have ended by the time of the report.
    var begunTask: TaskInfo?
}

extension EventLoop {
    /// Whether the loop looks for mistakes that cost time to find. asyncio: `get_debug`, `set_debug`.
    ///
    /// It then warns (``setWarningHandler(_:)``) of callbacks, turns and steps of tasks that take long, of host names that
    /// do, of operations that are begun off the loop, and of what is dropped without being closed. What costs nothing
    /// is checked always: calls from a wrong thread, and where callbacks were scheduled.
    ///
    /// May be changed at any time, also while the loop runs; it counts from the next tick on. At first it is what the
    /// environment says: on if `ASYNCIO_DEBUG` is `1` or `true`. The loop's thread.
    public final var isDebug: Bool {
        get {
            requireOnLoop("isDebug")
            return core.pointee.debug.isOn
        }
        set {
            requireOnLoop("isDebug")
            core.pointee.debug.isOn = newValue
        }
    }

    /// What runs this long without giving the loop back is reported in debug mode, by the loop's own clock; 100 ms at
    /// first. asyncio: `slow_callback_duration`. The loop's thread.
    public final var slowCallbackDuration: Duration {
        get {
            requireOnLoop("slowCallbackDuration")
            return core.pointee.debug.slowCallbackDuration
        }
        set {
            requireOnLoop("slowCallbackDuration")
            core.pointee.debug.slowCallbackDuration = newValue
        }
    }
}
