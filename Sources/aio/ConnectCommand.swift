import ArgumentParser
import AsyncIO

struct ConnectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Connect standard input and output to a server.",
        discussion: """
            Standard input is sent to the server, and what the server sends is written to standard output. At the end \
            of the input, Ctrl-D on a terminal, the write side of the connection is shut down, and the command \
            continues until the server has sent everything. It ends when the server ends the connection, and when \
            nobody reads its output any more.

            \(EndpointArgument.help)

            EXAMPLES:
              aio connect example.org:80
              aio connect unix:/run/app.sock
              printf 'GET / HTTP/1.0\\r\\n\\r\\n' | aio connect 127.0.0.1:8080
            """)

    @Argument(
        help: ArgumentHelp("The endpoint to connect to.", valueName: "endpoint"),
        transform: EndpointArgument.init(parsingTarget:))
    var endpoint: EndpointArgument

    @OptionGroup var loop: LoopOption

    func validate() throws {
        if endpoint.isDatagram { throw ValidationError("connect is for connections, not for datagrams") }
    }

    func run() throws {
        let (endpoint, kind) = (endpoint, try loop.kind)
        func makeLoop() throws -> EventLoop { try kind.makeLoop() }
        try AsyncIO.run(loopFactory: makeLoop) { loop in
            let (reader, writer) = try await loop.openConnection(to: endpoint.endpoint)
            try await converse(Streams(reader: reader, writer: writer), on: loop)
        }
    }
}
