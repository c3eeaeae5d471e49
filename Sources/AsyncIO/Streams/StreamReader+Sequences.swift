/// Reading in a `for await` loop.
extension StreamReader {
    /// The lines that follow, without their ends, as ``readLine(strippingNewline:)`` gives them. asyncio: `async for`.
    ///
    /// ```swift
    /// for try await line in reader.lines { print(line) }
    /// ```
    ///
    /// Ends at the end of the stream, and throws what `readLine` throws; a loop that begins again goes on where this one
    /// was left. Bytes that are no UTF-8 are repaired; for the bytes themselves, see ``readUntil(_:)-([UInt8])``.
    public var lines: Lines { Lines(reader: self) }

    /// What comes, piece by piece, none of them empty, as ``read(upTo:)`` gives them; at most 64 KiB each.
    ///
    /// Ends at the end of the stream. A loop that begins again goes on where this one was left.
    public var chunks: Chunks { Chunks(reader: self) }

    /// See ``StreamReader/lines``.
    public struct Lines: AsyncSequence {
        public typealias Element = String
        public typealias Failure = any Error

        let reader: StreamReader

        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }

        public struct AsyncIterator: AsyncIteratorProtocol {
            let reader: StreamReader

            public mutating func next() async throws -> String? {
                try await reader.readLine()
            }

            // The caller's isolation is kept: no hop.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> String? {
                try await reader.readLine()
            }
        }
    }

    /// See ``StreamReader/chunks``.
    public struct Chunks: AsyncSequence {
        public typealias Element = [UInt8]
        public typealias Failure = any Error

        let reader: StreamReader

        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }

        public struct AsyncIterator: AsyncIteratorProtocol {
            let reader: StreamReader

            public mutating func next() async throws -> [UInt8]? {
                try await Chunks.next(of: reader)
            }

            public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> [UInt8]? {
                try await Chunks.next(of: reader)
            }
        }

        private static func next(of reader: StreamReader) async throws -> [UInt8]? {
            let bytes = try await reader.read(upTo: .max)
            return bytes.isEmpty ? nil : bytes
        }
    }
}
