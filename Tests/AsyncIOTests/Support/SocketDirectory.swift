import AsyncIO
import Foundation

/// A new directory for the files of unix sockets, whose paths are short enough for an address.
struct SocketDirectory: Sendable {
    let path: String

    init() throws {
        path = "/tmp/asyncio-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    /// Returns the path of a file in the directory.
    func file(_ name: String = "socket") -> String { "\(path)/\(name)" }

    /// Returns the path of a file in the directory whose length is `byteCount`.
    func file(byteCount: Int) -> String { "\(path)/" + String(repeating: "x", count: byteCount - path.utf8.count - 1) }

    /// The names of the files in the directory.
    var files: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

    /// Creates a file that is not a socket.
    func createFile(_ name: String = "socket") { _ = FileManager.default.createFile(atPath: file(name), contents: nil) }

    /// Leaves the file of a socket that is closed, as a process that was killed does.
    func leaveStaleFile(_ name: String = "socket", _ kind: Socket.Kind = .stream) throws {
        let socket = kind == .stream ? try Socket.stream(.unix) : try Socket.datagram(.unix)
        defer { socket.close() }
        try socket.bind(to: SocketAddress(unixPath: file(name))!)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// Returns an abstract name that no other socket has.
func newAbstractName() -> String { "asyncio-\(getpid())-\(UInt64.random(in: 0 ... .max))" }
