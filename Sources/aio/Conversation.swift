import AsyncIO

/// Sends standard input to a server and writes its answers to standard output, until the server's EOF.
func converse(_ server: Streams, on loop: EventLoop) async throws {
    let (input, output) = try await loop.openConnection(to: .standardStreams)
    // The standard streams may also fail while the server is silent.
    let watching = loop.createTask(name: "standard streams") {
        do {
            try await output.waitClosed()
        } catch {
            server.writer.reset()
            throw error
        }
    }
    let asking = loop.createTask(name: "requests") { await ask(server, input) }
    defer { asking.cancel() }
    do {
        while let chunk = try await server.reader.readChunk() { try await output.write(chunk) }
    } catch {
        output.abort()
        server.writer.reset()
        // Why the standard streams have failed, which was the reason for everything else.
        if case .failure(let reason) = await watching.result { return try check(reason) }
        throw error
    }
    output.close()
    if case .failure(let reason) = await watching.result { try check(reason) }
    server.writer.abort()
}

/// Throws the error, unless it says that the reader of the output has seen enough, as in `aio connect ... | head`.
private func check(_ error: any Error) throws {
    if !error.isConnectionClosed { throw error }
}

/// Sends the input, and then EOF. An error ends no more than this: a server that reads no requests any more may still
/// answer, and an input that has failed ends the conversation elsewhere.
private func ask(_ server: Streams, _ input: StreamReader) async {
    do {
        while let chunk = try await input.readChunk() { try await server.writer.write(chunk) }
        try await server.writer.writeEOF()
    } catch {}
}
