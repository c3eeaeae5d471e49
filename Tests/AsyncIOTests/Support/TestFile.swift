import Foundation
import SystemPackage

/// A file without a name, which exists until it is closed.
struct TestFile {
    let descriptor: FileDescriptor

    init(_ bytes: [UInt8] = []) throws {
        let path = FilePath(NSTemporaryDirectory()).appending("asyncio-\(getpid())-\(UInt64.random(in: 0 ... .max))")
        descriptor = try FileDescriptor.open(
            path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite)
        unlink(path.string)
        try descriptor.writeAll(bytes)
        try descriptor.seek(offset: 0, from: .start)
    }

    /// Creates a file of `byteCount` bytes, zeros that take no space, which ends with `tail`.
    init(byteCount: Int64, endingWith tail: [UInt8]) throws {
        try self.init()
        try descriptor.writeAll(toAbsoluteOffset: byteCount - Int64(tail.count), tail)
    }

    /// Makes the file shorter.
    func truncate(to byteCount: Int) { ftruncate(descriptor.rawValue, off_t(byteCount)) }

    func position() throws -> Int64 { try descriptor.seek(offset: 0, from: .current) }

    func close() { try? descriptor.close() }
}
