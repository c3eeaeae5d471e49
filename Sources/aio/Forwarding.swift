import AsyncIO

/// The two halves of one connection.
struct Streams {
    let reader: StreamReader
    let writer: StreamWriter
}

/// Serves one client: connects to the target and forwards bytes until both sides have sent EOF.
func forward(_ client: Streams, to target: EndpointArgument, _ totals: Totals, _ report: ErrorReport) async throws {
    totals.connectionBegan()
    defer { totals.connectionEnded() }
    let server: Streams
    do {
        let (reader, writer) = try await client.reader.loop.openConnection(to: target.endpoint)
        server = Streams(reader: reader, writer: writer)
    } catch let error as CancellationError {
        throw error
    } catch {
        // The target failed, not the client or the handler: report it without failing the handler.
        report.add("\(error)")
        client.writer.abort()
        return
    }
    try await Link(client: client, target: server, totals: totals).run()
}

/// A client's connection and the connection to the target.
private struct Link {
    let client: Streams
    let target: Streams
    let totals: Totals

    /// Returns when both directions have ended. Both connections have ended then.
    func run() async throws {
        let answers = client.reader.loop.createTask(name: "answers") { try await pump(from: target, to: client) }
        let requests = await result { try await pump(from: client, to: target) }
        // Awaited in any case, because the task uses the client's connection, which is closed when this function
        // returns.
        let answered = await withTaskCancellationHandler {
            await answers.result
        } onCancel: {
            answers.cancel()
        }
        target.writer.close()
        // The direction that fails first resets both connections, which is not the reason why the other one has failed.
        let failures = [requests, answered].compactMap { $0.failure }
        if let reason = failures.first(where: { !$0.isConnectionClosed }) ?? failures.first { throw reason }
    }

    /// Forwards one direction up to EOF, and then shuts down the sink's write side.
    ///
    /// Neither connection is closed before both directions have ended.
    private func pump(from source: Streams, to sink: Streams) async throws {
        do {
            while let chunk = try await source.reader.readChunk() {
                try await sink.writer.write(chunk)
                totals.bytes += chunk.byteCount
            }
            try await sink.writer.writeEOF()
        } catch {
            // This resumes the opposite direction wherever it waits, and neither peer takes a part for the whole.
            client.writer.reset()
            target.writer.reset()
            throw error
        }
    }

    private func result(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
