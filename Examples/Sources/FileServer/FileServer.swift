import AsyncIO
import Foundation

/// Serves the files of a directory over HTTP/1.1, with keep-alive and pipelining: `FileServer DIRECTORY [PORT]`.
@main struct FileServer: EventLoopMain {
    var root: String
    var requestTime = Duration.seconds(10) // for a client to send a request, including the silence before it
    var pieceTime = Duration.seconds(30) // for a client to receive a piece of a file

    static func main(on loop: EventLoop) async throws {
        let root = CommandLine.arguments.dropFirst().first ?? "."
        let port = CommandLine.arguments.dropFirst(2).first.flatMap(UInt16.init) ?? 8080
        let server = try await FileServer(root: root).start(on: loop, port: port)
        let signals = try loop.signals([.interrupt, .terminate])
        print("listening on \(server.localAddresses[0])")

        for await _ in signals { break }
        server.closeClients()
        try await server.shutDown(within: .seconds(5))
    }

    func start(on loop: EventLoop, port: UInt16) async throws -> Server {
        // The limit applies to the head of a request.
        try await loop.startServer(host: "127.0.0.1", port: port, options: ServerOptions(limitBytes: 8 * 1024)) {
            reader, writer in
            do {
                try await serve(reader, writer)
            } catch let error as EventLoopError where error.code == .timedOut {
                writer.reset() // The client does not read, and must not take half a file for the whole file.
            }
        }
    }

    private func serve(_ reader: StreamReader, _ writer: StreamWriter) async throws {
        // Requests that a client sends ahead wait in its socket until the earlier ones are answered, so pipelining
        // needs no code.
        while let response = try await nextResponse(reader) {
            try await send(response, writer)
            if !response.keepsAlive { break }
        }
        // A plain close with unread input resets the connection, which can destroy the end of the response.
        writer.closeGracefully()
    }

    /// Waits for a request and decides on the response; returns `nil` when the client sends no more.
    private func nextResponse(_ reader: StreamReader) async throws -> Response? {
        do {
            let head = try await withTimeout(requestTime) { try await reader.readUntil("\r\n\r\n") }
            return response(to: String(decoding: head, as: UTF8.self))
        } catch let error as IncompleteReadError {
            return error.partial.isEmpty ? nil : Response(status: "400 Bad Request")
        } catch is LimitOverrunError {
            return Response(status: "431 Request Header Fields Too Large")
        } catch let error as EventLoopError where error.code == .timedOut {
            return Response(status: "408 Request Timeout")
        }
    }

    private func response(to head: String) -> Response {
        let lines = head.split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
        var fields: [Substring: Substring] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return Response(status: "400 Bad Request") }
            fields[line[..<colon].lowercased()[...]] = line[line.index(after: colon)...].drop { $0 == " " }
        }
        guard words.count == 3, words[2] == "HTTP/1.0" || words[2] == "HTTP/1.1" && fields["host"] != nil else {
            return Response(status: "400 Bad Request")
        }
        guard words[0] == "GET" || words[0] == "HEAD" else { return Response(status: "405 Method Not Allowed") }
        // The server would parse a body as the next request.
        guard fields["content-length"] ?? "0" == "0", fields["transfer-encoding"] == nil,
            var path = words[1].prefix(while: { $0 != "?" }).removingPercentEncoding, path.hasPrefix("/"),
            !path.split(separator: "/").contains(".."), !path.contains("\0")
        else { return Response(status: "400 Bad Request") }

        if path.hasSuffix("/") { path += "index.html" }
        var response = open(root + path) ?? Response(status: "404 Not Found")
        response.keepsAlive = words[2] == "HTTP/1.1" && fields["connection"]?.lowercased() != "close"
        response.hasBody = words[0] == "GET"
        return response
    }

    /// Returns `nil` unless `path` is a regular file that can be read.
    private func open(_ path: String) -> Response? {
        // Opening anything else may block the loop, a FIFO for example.
        let values = try? URL(filePath: path).resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
        guard values?.isRegularFile == true, let size = values?.fileSize,
            let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec)
        else { return nil }
        return Response(file: file, byteCount: size)
    }

    private func send(_ response: Response, _ writer: StreamWriter) async throws {
        defer { try? response.file?.close() }
        try await withTimeout(pieceTime) { try await writer.write(response.head) }
        guard let file = response.file, response.hasBody else { return }
        var sent = 0
        while sent < response.byteCount {
            // Back-pressure: the next piece is sent when the kernel has accepted the one before, without a copy in this
            // process, so a slow client costs no memory. The time limit is for a piece, not for the file.
            let offset = Int64(sent)
            let byteCount = min(256 * 1024, response.byteCount - sent)
            let count = try await withTimeout(pieceTime) {
                try await writer.sendFile(file, offset: offset, maxBytes: byteCount)
            }
            if count == 0 { return writer.reset() } // The file has become shorter meanwhile.
            sent += count
        }
    }
}

struct Response {
    var status = "200 OK"
    var file: FileDescriptor?
    var byteCount = 0
    var keepsAlive = false // not after an error, because it is unclear where the next request begins
    var hasBody = true
    var head: String {
        "HTTP/1.1 \(status)\r\nContent-Length: \(byteCount)\r\nAllow: GET, HEAD\r\n"
            + (keepsAlive ? "\r\n" : "Connection: close\r\n\r\n")
    }
}
