import ArgumentParser

/// The program: its subcommands, and how it reports errors.
@main
struct AioCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aio",
        abstract: "Small network servers on one thread, on the event loop of swift-asyncio.",
        discussion: """
            Ctrl-C (SIGINT) or SIGTERM ends a server, which then prints a summary.

            The environment variable ASYNCIO_LOOP names the event loop for commands without '--loop NAME'.

            EXAMPLES:
              aio echo --listen 127.0.0.1:8888
              aio forward --listen :8080 --to example.org:80
              aio connect example.org:80
              aio loops
            """,
        version: version,
        subcommands: [EchoCommand.self, ForwardCommand.self, ConnectCommand.self, LoopsCommand.self])

    static let version = "0.1.0"

    // Not async, because `run` blocks its thread and must not do that in a task.
    static func main() {
        ignoreBrokenPipes()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        switch exitCode(for: error) {
        case .success:
            // The user asked for the help or the version.
            exit(withError: error)
        case .validationFailure:
            // The parser's message comes first, with this program's prefix instead of the parser's.
            complain(fullMessage(for: error).removingPrefix(_errorPrefix))
            exit(withError: ExitCode.validationFailure)
        default:
            complain("\(error)")
            exit(withError: ExitCode.failure)
        }
    }
}

extension String {
    fileprivate func removingPrefix(_ prefix: String) -> String {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
    }
}
