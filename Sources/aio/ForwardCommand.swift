import ArgumentParser
import AsyncIO

struct ForwardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Pass TCP connections on to another server.",
        discussion: """
            Each client gets a connection of its own to the target. Bytes go both ways, no faster than the slower side \
            takes them. When one side ends its direction, the other side is told and the opposite direction goes on \
            until it ends too; a connection that breaks on one side is broken off on the other.

            EXAMPLES:
              aio forward --listen :8080 --to example.org:80
              aio forward --listen 127.0.0.1:6380 --to [::1]:6379
            """)

    @Option(
        help: ArgumentHelp("Where to listen. Without a host: on all interfaces.", valueName: "host:port"),
        transform: Endpoint.init(parsing:))
    var listen: Endpoint

    @Option(
        help: ArgumentHelp("Where to connect to, for each client anew.", valueName: "host:port"),
        transform: Endpoint.init(parsingTarget:))
    var to: Endpoint

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
