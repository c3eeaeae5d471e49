import AsyncIO
import Foundation

/// Answers each datagram with the time: `TimeServer [PORT]`.
///
/// Try it with `swift run TimeClient`, or with `echo | socat - UDP:127.0.0.1:8037`.
@main struct TimeServer: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 8037
        let endpoint = try await loop.openDatagramEndpoint(local: .host("127.0.0.1", port: port))
        print("listening on \(endpoint.localAddress!)")
        for try await question in endpoint {
            // The time is no longer than any question may be, so nobody can use this server to multiply traffic.
            let answer = Date().ISO8601Format()
            guard let client = question.address, question.bytes.count >= answer.utf8.count else { continue }
            do {
                try await endpoint.send(answer, to: client)
            } catch let error as IOError {
                print(error) // This datagram is lost. The server continues.
            }
        }
    }
}
