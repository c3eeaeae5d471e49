extension StreamReader {
    /// The lines that follow, without their newlines, as ``readLine(strippingNewline:)`` returns them, until EOF.
    /// asyncio: `async for`.
    ///
    /// ```swift
    /// for try await line in reader.lines { print(line) }
    /// ```
    ///
    /// Bytes that are not UTF-8 are repaired; for the bytes themselves, see ``readUntil(_:)-([UInt8])``.
    public var lines: LoopSequence<String, any Error> {
        LoopSequence(of: self) { try await unsafeDowncast($0, to: StreamReader.self).nextLine(strippingNewline: true) }
    }

    /// The received bytes in pieces of at least one byte and at most 64 KiB, as ``read(maxBytes:)`` returns them, until
    /// EOF.
    public var chunks: LoopSequence<[UInt8], any Error> {
        LoopSequence(of: self) {
            let bytes = try await unsafeDowncast($0, to: StreamReader.self).read(maxBytes: .max)
            return bytes.isEmpty ? nil : bytes
        }
    }

    /// The frames that follow, as ``readFrame(lengthPrefix:limitBytes:)`` returns them, until EOF.
    ///
    /// ```swift
    /// for try await frame in reader.frames() { handle(frame) }
    /// ```
    public func frames(
        lengthPrefix: LengthPrefix = .uint32, limitBytes: Int? = nil
    ) -> LoopSequence<[UInt8], any Error> {
        LoopSequence(of: self) {
            let reader = unsafeDowncast($0, to: StreamReader.self)
            return try await reader.readFrame(lengthPrefix: lengthPrefix, limitBytes: limitBytes)
        }
    }
}
