import AsyncIO
import Foundation

/// An echo server whose tasks read into their own buffers: `echo-read-into --listen ADDRESS:PORT --loop NAME`.
///
/// `aio echo --style stream` reads chunks instead, which costs no copy.
@main
struct EchoReadInto {
    static let bufferBytes = 64 * 1024

    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 4, arguments[1] == "--listen", arguments[3] == "--loop",
            let kind = LoopKind(rawValue: arguments[4]),
            let colon = arguments[2].lastIndex(of: ":"), let port = UInt16(arguments[2][colon...].dropFirst())
        else { fail("usage: echo-read-into --listen ADDRESS:PORT --loop NAME") }
        let host = String(arguments[2][..<colon])
        func makeLoop() throws -> EventLoop { try kind.makeLoop() }
        do {
            try run(loopFactory: makeLoop) { loop in
                let server = try await loop.startServer(host: host, port: port) { reader, writer in
                    try await echo(reader, writer)
                }
                try loop.addSignalHandler(.terminate) {
                    server.close()
                    server.abortClients()
                }
                print("listening on \(server.localAddresses[0]) (\(loop.backendName))")
                fflush(nil)
                try await server.waitClosed()
            }
        } catch {
            fail("\(error)")
        }
    }
}

private func echo(_ reader: StreamReader, _ writer: StreamWriter) async throws {
    var buffer = [UInt8](repeating: 0, count: EchoReadInto.bufferBytes)
    while let count = try await reader.read(into: &buffer) {
        try await writer.write(buffer[..<count])
    }
}

func fail(_ sentence: String) -> Never {
    FileHandle.standardError.write(Data("echo-read-into: \(sentence)\n".utf8))
    exit(2)
}
