import ArgumentParser
import AsyncIO

struct EchoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Send every client back what it sends.",
        discussion: """
            A client that is slow to read is read from no faster: nothing piles up here. Port 0 lets the system choose \
            a port; the first line of output names it.

            EXAMPLES:
              aio echo
              aio echo --listen [::1]:7777 --style stream
              aio echo --listen :0 --loop epoll
            """)

    @Option(
        help: ArgumentHelp(
            "Where to listen. Without a host: on all interfaces. (default: \(defaultEndpoint))", valueName: "host:port"),
        transform: Endpoint.init(parsing:))
    var listen = defaultEndpoint

    private static let defaultEndpoint = Endpoint(host: "127.0.0.1", port: 8888)

    @OptionGroup var loop: LoopOption

    @Option(help: "Callbacks of a protocol, or a task for each client. It looks the same from outside.")
    var style = EchoStyle.protocol

    func run() throws {
        let (listen, style) = (listen, style)
        try serve(on: try loop.kind) { loop, totals, _ in
            try await style.startServer(loop, listen, totals)
        }
    }
}

enum EchoStyle: String, ExpressibleByArgument, CaseIterable {
    case `protocol`, stream

    func startServer(_ loop: EventLoop, _ endpoint: Endpoint, _ totals: Totals) async throws -> Server {
        switch self {
        case .protocol:
            try await loop.createServer(host: endpoint.host, port: endpoint.port) { EchoProtocol(totals) }
        case .stream:
            try await loop.startServer(host: endpoint.host, port: endpoint.port) { reader, writer in
                try await echo(reader, writer, totals)
            }
        }
    }
}
