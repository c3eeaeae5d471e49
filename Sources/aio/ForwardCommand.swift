import ArgumentParser
import AsyncIO

struct ForwardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Forward connections or datagrams to another server.",
        discussion: """
            Each client gets its own connection to the target. Bytes are forwarded in both directions, as fast as the \
            slower side reads them. When one side shuts down its write side, the other side gets EOF and the opposite \
            direction continues until its own EOF. When the connection on one side breaks, the one on the other side \
            is reset.

            Datagrams of a client are sent from an endpoint of its own, so that the answers find their way back. It \
            is closed when nothing was sent for a minute. At most 1,000 clients are served at a time.

            \(EndpointArgument.help)

            EXAMPLES:
              aio forward --listen :8080 --to example.org:80
              aio forward --listen 127.0.0.1:6380 --to [::1]:6379
              aio forward --listen :8080 --to unix:/run/app.sock
              aio forward --listen udp:127.0.0.1:5353 --to udp:192.0.2.1:53
            """)

    @Option(
        help: ArgumentHelp("The endpoint to listen on; without a host, all interfaces.", valueName: "endpoint"),
        transform: EndpointArgument.init(parsing:))
    var listen: EndpointArgument

    @Option(
        help: ArgumentHelp("The endpoint to connect to, once for each client.", valueName: "endpoint"),
        transform: EndpointArgument.init(parsingTarget:))
    var to: EndpointArgument

    @OptionGroup var loop: LoopOption

    func validate() throws {
        if listen.isDatagram != to.isDatagram {
            throw ValidationError("datagrams and connections cannot be forwarded to each other: \(listen) to \(to)")
        }
    }

    func run() throws {
        let (listen, to) = (listen, to)
        try serve(on: listen, loop) { loop, totals, report in
            if listen.isDatagram {
                let ended = loop.createFuture(of: Void.self)
                let (transport, _) = try await loop.createDatagramEndpoint(local: listen.endpoint) {
                    DatagramForwarder(to: to, totals, report, ended: ended)
                }
                return DatagramService(transport: transport, ended: ended)
            }
            return try await loop.startServer(on: listen.endpoint) { reader, writer in
                try await forward(Streams(reader: reader, writer: writer), to: to, totals, report)
            }
        }
    }
}
