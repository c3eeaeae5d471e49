import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// An echo server of SwiftNIO on one thread: `echo-nio --listen ADDRESS:PORT --style (handler | async)`.
@main
struct EchoNIO {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 4, arguments[1] == "--listen", arguments[3] == "--style",
            let colon = arguments[2].lastIndex(of: ":"), let port = Int(arguments[2][colon...].dropFirst())
        else { fail("usage: echo-nio --listen ADDRESS:PORT --style (handler | async)") }
        let host = String(arguments[2][..<colon])
        signal(SIGTERM) { _ in _exit(0) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        switch arguments[4] {
        case "handler": try await serveByHandlers(bootstrap, host, port)
        case "async": try await serveByTasks(bootstrap, host, port)
        default: fail("'\(arguments[4])' is not a style; there are handler and async")
        }
    }
}

func fail(_ sentence: String) -> Never {
    _ = "echo-nio: \(sentence)\n".withCString { write(2, $0, strlen($0)) }
    exit(2)
}

func announce(_ channel: any Channel) throws {
    guard let address = channel.localAddress, let ip = address.ipAddress, let port = address.port else {
        fail("the server has no address")
    }
    print("listening on \(ip):\(port) (nio)")
    fflush(nil)
}

private func serveByHandlers(_ bootstrap: ServerBootstrap, _ host: String, _ port: Int) async throws {
    let server =
        try await bootstrap
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(EchoHandler()) }
        }
        .bind(host: host, port: port).get()
    try announce(server)
    try await server.closeFuture.get()
}

/// Echoes what it receives. Only the socket bounds what a client does not read, as in NIO's own example.
private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

private func serveByTasks(_ bootstrap: ServerBootstrap, _ host: String, _ port: Int) async throws {
    let server = try await bootstrap.bind(host: host, port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
    }
    try announce(server.channel)
    try await withThrowingDiscardingTaskGroup { group in
        try await server.executeThenClose { clients in
            for try await client in clients {
                group.addTask { try? await echo(client) }
            }
        }
    }
}

private func echo(_ client: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async throws {
    try await client.executeThenClose { inbound, outbound in
        for try await buffer in inbound { try await outbound.write(buffer) }
    }
}
