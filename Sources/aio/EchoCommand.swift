import ArgumentParser
import AsyncIO

struct EchoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Send back to each client what it sends.",
        discussion: """
            The server reads from a client only as fast as the client reads from the server, so its memory stays \
            bounded. With port 0 the system chooses a port; the first line of output names it.

            EXAMPLES:
              aio echo
              aio echo --listen [::1]:7777 --style stream
              aio echo --listen :0 --loop epoll
            """)

    @Option(
        help: ArgumentHelp(
            "The address to listen on; without a host, all interfaces. (default: \(defaultAddress))",
            valueName: "host:port"),
        transform: HostAndPort.init(parsing:))
    var listen = defaultAddress

    private static let defaultAddress = HostAndPort(host: "127.0.0.1", port: 8888)

    @OptionGroup var loop: LoopOption

    @Option(help: "Use callbacks of a protocol, or a task for each client. Clients see no difference.")
    var style = EchoStyle.protocol

    func run() throws {
        let (listen, style) = (listen, style)
        try serve(on: try loop.kind) { loop, totals, report in
            try await style.startServer(loop, listen, totals, report)
        }
    }
}

enum EchoStyle: String, ExpressibleByArgument, CaseIterable {
    case `protocol`, stream

    func startServer(
        _ loop: EventLoop, _ address: HostAndPort, _ totals: Totals, _ report: ErrorReport
    ) async throws -> Server {
        switch self {
        case .protocol:
            try await loop.createServer(host: address.host, port: address.port) { EchoProtocol(totals, report) }
        case .stream:
            try await loop.startServer(host: address.host, port: address.port) { reader, writer in
                try await echo(reader, writer, totals)
            }
        }
    }
}
