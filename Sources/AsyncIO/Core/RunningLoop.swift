import CAsyncIO

/// The loop that runs on the calling thread, or `nil`. asyncio: `_get_running_loop`.
public var runningLoop: EventLoop? {
    // SAFETY: the slot is set only while a run retains its loop.
    aio_loop_slot_get().map { Unmanaged<EventLoop>.fromOpaque($0).takeUnretainedValue() }
}

/// Returns the loop that runs on the calling thread. Throws `.notRunning` if there is none. asyncio:
/// `get_running_loop`.
public func getRunningLoop() throws(EventLoopError) -> EventLoop {
    guard let loop = runningLoop else { throw .notRunning }
    return loop
}
