import AsyncIO

// An echo server. Each connection is a task; all of them run on the loop's thread.
try run {
    let loop = try getRunningLoop()
    let server = try await loop.startServer(host: "127.0.0.1", port: 8888) { reader, writer in
        var buffer = [UInt8](repeating: 0, count: 65536)
        while let count = try await reader.read(into: &buffer) {
            try await writer.write(buffer.span.extracting(0..<count).bytes)
        }
    }
    print("listening on \(server.localAddresses[0])")
    try loop.addSignalHandler(.interrupt) {
        server.close()
        server.closeClients()
        loop.callLater(after: .seconds(5)) { server.abortClients() } // those that do not read
    }
    try await server.waitClosed()
}
