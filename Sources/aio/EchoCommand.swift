import ArgumentParser
import AsyncIO

struct EchoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Send back to each client what it sends.",
        discussion: """
            The server reads from a client only as fast as the client reads from the server, so its memory stays \
            bounded. With port 0 the system chooses a port; the first line of output names it.

            \(EndpointArgument.help)

            EXAMPLES:
              aio echo
              aio echo --listen [::1]:7777 --style stream
              aio echo --listen :0 --loop epoll
              aio echo --listen unix:/tmp/echo.sock
              aio echo --listen udp:127.0.0.1:9999
            """)

    @Option(
        help: ArgumentHelp(
            "The endpoint to listen on; without a host, all interfaces. (default: \(defaultEndpoint))",
            valueName: "endpoint"),
        transform: EndpointArgument.init(parsing:))
    var listen = defaultEndpoint

    private static let defaultEndpoint = EndpointArgument.tcp(HostAndPort(host: "127.0.0.1", port: 8888))

    @OptionGroup var loop: LoopOption

    @Option(help: "Use callbacks of a protocol, or a task for each client. Clients see no difference.")
    var style = EchoStyle.protocol

    func run() throws {
        let (listen, style) = (listen, style)
        try serve(on: listen, loop) { loop, totals, report in
            if listen.isDatagram { return try await style.openEndpoint(loop, listen, totals, report) }
            return try await style.startServer(loop, listen, totals, report)
        }
    }
}

enum EchoStyle: String, ExpressibleByArgument, CaseIterable {
    case `protocol`, stream

    func startServer(
        _ loop: EventLoop, _ listen: EndpointArgument, _ totals: Totals, _ report: ErrorReport
    ) async throws -> Server {
        switch self {
        case .protocol:
            try await loop.createServer(on: listen.endpoint) { EchoProtocol(totals, report) }
        case .stream:
            try await loop.startServer(on: listen.endpoint) { reader, writer in
                try await echo(reader, writer, totals)
            }
        }
    }

    func openEndpoint(
        _ loop: EventLoop, _ listen: EndpointArgument, _ totals: Totals, _ report: ErrorReport
    ) async throws -> any Service {
        switch self {
        case .protocol:
            let ended = loop.createFuture(of: Void.self)
            let (transport, _) = try await loop.createDatagramEndpoint(local: listen.endpoint) {
                EchoDatagramProtocol(totals, report, ended: ended)
            }
            return DatagramService(transport: transport, ended: ended)
        case .stream:
            let endpoint = try await loop.openDatagramEndpoint(local: listen.endpoint)
            let task = loop.createTask { try await echo(endpoint, totals, report) }
            return DatagramEndpointService(endpoint: endpoint, task: task)
        }
    }
}
