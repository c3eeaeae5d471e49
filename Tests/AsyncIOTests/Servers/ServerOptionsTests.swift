import AsyncIO
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

/// Options that need an endpoint of a certain kind, or a certain value.
struct ServerOptionsTests {
    private static func permissions(of path: String) throws -> FilePermissions {
        var status = stat()
        try #require(lstat(path, &status) == 0)
        return FilePermissions(rawValue: status.st_mode & 0o7777)
    }

    @Test(arguments: TestLoop.all, [0o600, 0o666, 0o660, 0] as [mode_t])
    func fileHasThePermissionsOfTheOptions(kind: TestLoop, mode: mode_t) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let options = ServerOptions(unixPermissions: FilePermissions(rawValue: mode))
            let server = try await loop.createServer(on: .unix(directory.file()), options: options) { EchoProtocol() }
            #expect(try Self.permissions(of: directory.file()).rawValue == mode)
            server.close()
            #expect(try directory.files.isEmpty)
        }
    }

    /// A client needs the permission to write. In a child process, because the superuser needs none.
    @Test(.startsProcess) func permissionsDecideWhoMayConnect() async {
        await #expect(processExitsWith: .success) {
            let directory = try SocketDirectory()
            defer { directory.remove() }
            try #require(chmod(directory.path, 0o777) == 0)
            if geteuid() == 0 { try #require(seteuid(65_534) == 0) }
            try await withLoop(TestLoop.all[0]) { loop in
                let options = ServerOptions(unixPermissions: .ownerRead)
                let path = directory.file()
                let server = try await loop.createServer(on: .unix(path), options: options) { EchoProtocol() }
                let refusal = await #expect(throws: ConnectError.self) {
                    _ = try await loop.openConnection(to: .unix(path))
                }
                #expect(refusal?.attempts.map(\.errno) == [.permissionDenied])

                // Another server cannot find out whether this one lives, and leaves it alone.
                let error = await #expect(throws: IOError.self) {
                    _ = try await loop.createServer(on: .unix(path)) { EchoProtocol() }
                }
                #expect(error?.errno == .addressInUse)
                #expect(error?.detail?.contains("not permitted") == true)
                #expect(try directory.files == ["socket"])
                server.close()
            }
        }
    }

    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func permissionsNeedAFile(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let given = try SocketPlace.ipv4.listen().socket
            let file = OpenFile(given.descriptor)
            let endpoints: [Endpoint] = [
                .abstract(newAbstractName()), .host("127.0.0.1", port: 0), .socket(given),
                .addresses([SocketAddress(unixPath: SocketPlace.newPath())!, SocketAddress(literal: "::1", port: 0)!]),
            ]
            for endpoint in endpoints {
                let options = ServerOptions(unixPermissions: .ownerReadWrite)
                #expect(
                    await asyncCode {
                        _ = try await loop.createServer(on: endpoint, options: options) { EchoProtocol() }
                    } == .invalidArgument, "\(endpoint)")
            }
            #expect(file.wasClosed)
        }
    }

    @Test(arguments: TestLoop.all, [0, -1])
    func limitOfConnectionsMustBePositive(kind: TestLoop, limit: Int) async throws {
        try await withLoop(kind) { loop in
            let options = ServerOptions(maxConnections: limit)
            #expect(
                await asyncCode {
                    _ = try await loop.startServer(host: "127.0.0.1", port: 0, options: options) { _, _ in }
                } == .invalidArgument)
        }
    }
}
