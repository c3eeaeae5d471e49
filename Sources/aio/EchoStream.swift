import AsyncIO

/// Echoes in the pull style, until the client's EOF.
func echo(_ reader: StreamReader, _ writer: StreamWriter, _ totals: Totals) async throws {
    totals.connectionBegan()
    defer { totals.connectionEnded() }
    while let chunk = try await reader.readChunk() {
        totals.bytes += chunk.byteCount
        try await writer.write(chunk)
    }
}
