import CAsyncIO

/// A program whose main function is a task on an event loop, on the main thread.
///
/// ```swift
/// @main struct Tool: EventLoopMain {
///     static func main(on loop: EventLoop) async throws {
///         try await loop.sleep(for: .seconds(1))
///     }
/// }
/// ```
///
/// The program ends as a command-line tool should: with status 0; with a message on standard error and status 1 if
/// `main` throws; and by SIGINT after a Ctrl-C that ended `main`, as with ``run(isDebug:loopFactory:fileID:line:_:)``.
public protocol EventLoopMain: SendableMetatype {
    /// Runs the program. When it returns, the tasks that remain on the loop are cancelled and awaited.
    static func main(on loop: EventLoop) async throws
    /// Creates the program's loop; by default, the process's policy does.
    static func makeLoop() throws -> EventLoop
}

extension EventLoopMain {
    /// Creates the program's loop through the process's policy.
    public static func makeLoop() throws -> EventLoop { try newEventLoop() }

    /// Starts the program.
    @available(*, noasync, message: "EventLoopMain.main() blocks its thread; it is the start of the program")
    public static func main() {
        do {
            try run(loopFactory: makeLoop) { loop in try await main(on: loop) }
        } catch {
            let path = CommandLine.arguments.first ?? ""
            let program = path.split(separator: "/").last ?? "program"
            writeToStandardError("\(program): \(error)")
            aio_exit_failure()
        }
    }
}
