import AsyncIO

/// The two halves of one connection.
struct Streams {
    let reader: StreamReader
    let writer: StreamWriter
}

/// Serves one client: connects to the target and passes bytes on until both sides have ended.
func forward(_ client: Streams, to endpoint: Endpoint, _ totals: Totals, _ report: ErrorReport) async throws {
    totals.connectionBegan()
    defer { totals.connectionEnded() }
    let target: Streams
    do {
        let (reader, writer) = try await client.reader.loop.openConnection(host: endpoint.host, port: endpoint.port)
        target = Streams(reader: reader, writer: writer)
    } catch let error as CancellationError {
        throw error
    } catch {
        // Nothing is wrong with the client or with us: a sentence, not a failure of the handler.
        report.add("\(error)")
        client.writer.abort()
        return
    }
    try await Link(client: client, target: target, totals: totals).run()
}

/// A client's connection and the one to the target, tied together.
private struct Link {
    let client: Streams
    let target: Streams
    let totals: Totals

    /// Returns when both directions have ended; both connections are over then.
    func run() async throws {
        let answers = client.reader.loop.createTask(name: "answers") { try await pump(from: target, to: client) }
        let requests = await result { try await pump(from: client, to: target) }
        // Its end must be awaited in any case: it uses the client, which is gone when this function returns.
        let answered = await withTaskCancellationHandler {
            await answers.result
        } onCancel: {
            answers.cancel()
        }
        target.writer.close()
        try requests.get()
        try answered.get()
    }

    /// One direction, up to its end, which is passed on too. The connections are not closed before both have ended.
    private func pump(from source: Streams, to sink: Streams) async throws {
        do {
            while let chunk = try await source.reader.readChunk() {
                try await sink.writer.write(chunk)
                totals.bytes += chunk.byteCount
            }
            try await sink.writer.writeEOF()
        } catch {
            // This wakes the opposite direction, wherever it waits, and neither peer takes a part for the whole.
            client.writer.reset()
            target.writer.reset()
            throw error
        }
    }

    private func result(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
