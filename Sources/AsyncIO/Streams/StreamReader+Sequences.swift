/// Reading in a `for await` loop.
extension StreamReader {
    /// The lines that follow, without their newlines, as ``readLine(strippingNewline:)`` returns them. asyncio:
    /// `async for`.
    ///
    /// ```swift
    /// for try await line in reader.lines { print(line) }
    /// ```
    ///
    /// The sequence ends at EOF, and throws what `readLine` throws. A later iteration continues where an earlier one
    /// ended. Bytes that are not UTF-8 are repaired; for the bytes themselves, see ``readUntil(_:)-([UInt8])``.
    public var lines: Lines { Lines(reader: self) }

    /// The received bytes in pieces of at least one byte and at most 64 KiB, as ``read(maxBytes:)`` returns them.
    ///
    /// The sequence ends at EOF. A later iteration continues where an earlier one ended.
    public var chunks: Chunks { Chunks(reader: self) }

    /// The sequence that ``StreamReader/lines`` returns.
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

            // Stays on the caller's isolation, so there is no hop.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> String? {
                try await reader.readLine()
            }
        }
    }

    /// The sequence that ``StreamReader/chunks`` returns.
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
            let bytes = try await reader.read(maxBytes: .max)
            return bytes.isEmpty ? nil : bytes
        }
    }
}
