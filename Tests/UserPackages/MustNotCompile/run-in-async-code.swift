import AsyncIO

// Functions that block their thread cannot be called in a task, because they would block the thread that the task
// needs.
func task(_ loop: EventLoop, _ runner: Runner) async throws {
    try run {} // error: run blocks its thread; call it from a main() that is not async
    try runner.run {} // error: Runner.run blocks its thread; call it from a main() that is not async
    try runner.close() // error: Runner.close blocks its thread; call it from a main() that is not async
    try loop.runForever() // error: runForever blocks its thread; call it from synchronous code
    try loop.runUntilComplete {} // error: runUntilComplete blocks its thread; call it from synchronous code
    try loop.runBlocking {} // error: runBlocking blocks its thread; in a task, await the result of createTaskThreadsafe
}
