import AsyncIO
import FlyingFox
import FlyingSocks
import Foundation

/// Another library's web server on a loop of this library.
///
/// FlyingFox's tasks run on Swift's thread pool and wait for their sockets through the loop. The loop runs on the main
/// thread, so it also runs all code of the main actor. The handler below shares its counter with the loop's callbacks
/// and needs no lock.
@main struct FlyingFoxServer: EventLoopMain {
    @MainActor static var visits = 0

    static func main(on loop: EventLoop) async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 8080
        let server = HTTPServer(address: try .inet(ip4: "127.0.0.1", port: port), pool: LoopSocketPool(loop: loop))
        await server.appendRoute("GET /visits") { @MainActor _ in
            visits += 1
            return HTTPResponse(statusCode: .ok, body: Data("visit \(visits), on the loop: \(loop.isOnLoop)\n".utf8))
        }
        let running = loop.createTask(name: "FlyingFox") { try await server.run() }
        try await server.waitUntilListening()
        let signals = try loop.signals([.interrupt, .terminate])
        if case .ip4(let host, let port)? = await server.listeningAddress { print("listening on \(host):\(port)") }

        for await _ in signals { break }
        running.cancel()
        _ = await running.result
    }
}
