import AsyncIO

/// Echoes in the pull style, until the client's end.
func echo(_ reader: StreamReader, _ writer: StreamWriter, _ totals: Totals) async throws {
    totals.connectionBegan()
    defer { totals.connectionEnded() }
    var buffer = [UInt8](repeating: 0, count: streamBufferBytes)
    while let count = try await reader.read(into: &buffer) {
        totals.bytes += count
        try await writer.write(buffer.span.extracting(..<count).bytes)
    }
}

/// What one direction of a connection holds at most: as much as a receive of the loop.
let streamBufferBytes = 64 * 1024
