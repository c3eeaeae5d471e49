import ArgumentParser
import AsyncIO

struct ForwardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Forward TCP connections to another server.",
        discussion: """
            Each client gets its own connection to the target. Bytes are forwarded in both directions, as fast as the \
            slower side reads them. When one side shuts down its write side, the other side gets EOF and the opposite \
            direction continues until its own EOF. When the connection on one side breaks, the one on the other side \
            is reset.

            EXAMPLES:
              aio forward --listen :8080 --to example.org:80
              aio forward --listen 127.0.0.1:6380 --to [::1]:6379
            """)

    @Option(
        help: ArgumentHelp("The address to listen on; without a host, all interfaces.", valueName: "host:port"),
        transform: HostAndPort.init(parsing:))
    var listen: HostAndPort

    @Option(
        help: ArgumentHelp("The address to connect to, once for each client.", valueName: "host:port"),
        transform: HostAndPort.init(parsingTarget:))
    var to: HostAndPort

    @OptionGroup var loop: LoopOption

    func run() throws {
        let (listen, to) = (listen, to)
        try serve(on: try loop.kind) { loop, totals, report in
            try await loop.startServer(host: listen.host, port: listen.port) { reader, writer in
                try await forward(Streams(reader: reader, writer: writer), to: to, totals, report)
            }
        }
    }
}
