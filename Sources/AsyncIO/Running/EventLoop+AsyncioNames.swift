extension EventLoop {
    /// Returns ``exceptionHandler``. asyncio: `get_exception_handler`.
    public final func getExceptionHandler() -> ExceptionHandler? { exceptionHandler }

    /// Sets ``exceptionHandler``; `nil` restores the default handler. asyncio: `set_exception_handler`.
    public final func setExceptionHandler(_ handler: ExceptionHandler?) { exceptionHandler = handler }

    /// Returns ``taskFactory``. asyncio: `get_task_factory`.
    public final func getTaskFactory() -> TaskFactory? { taskFactory }

    /// Sets ``taskFactory``; `nil` removes it. asyncio: `set_task_factory`.
    public final func setTaskFactory(_ factory: TaskFactory?) { taskFactory = factory }

    /// Returns whether debug mode is on: ``DebugOptions/isEnabled``. asyncio: `get_debug`.
    public final func getDebug() -> Bool { debug.isEnabled }

    /// Turns debug mode on or off: ``DebugOptions/isEnabled``. asyncio: `set_debug`.
    public final func setDebug(_ isEnabled: Bool) { debug.isEnabled = isEnabled }
}
