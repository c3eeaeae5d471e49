import CAsyncIO

/// The identity of a running task. It may be compared as long as the task exists.
struct TaskIdentity: Hashable {
    let address: UInt

    static let none = TaskIdentity(address: 0)

    init(address: UInt) { self.address = address }

    /// The task that a job belongs to. The word of a continuation has the same form.
    init(of job: UnownedJob) {
        // SAFETY: a task is its own job. The word is read as a number and not kept as a reference.
        address = unsafeBitCast(job, to: UInt.self)
    }

    /// `none` outside of tasks.
    @inline(__always)
    static var current: TaskIdentity { TaskIdentity(address: UInt(bitPattern: aio_current_task())) }

    /// Cancels the task, which must not have ended.
    func cancel() {
        // SAFETY: an `UnsafeCurrentTask` is the task's address, and is retained while it is used.
        unsafeBitCast(address, to: UnsafeCurrentTask.self).cancel()
    }
}
