import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

/// The files of unix sockets: which ones a server replaces, and which ones it removes.
struct SocketFileTests {
    private static func echo(_ loop: EventLoop, _ path: String) async throws {
        try await loop.withConnection(to: .unix(path)) { reader, writer in
            try await writer.write("x")
            #expect(try await reader.readExactly(1) == Array("x".utf8))
        }
    }

    // covers: 176
    @Test(.expectsReleasedFiles, arguments: TestLoop.all, [Socket.Kind.stream, .datagram])
    func fileOfAClosedSocketIsReplaced(kind: TestLoop, former: Socket.Kind) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let path = directory.file()
            for endpoint in [Endpoint.unix(path), .address(SocketAddress(unixPath: path)!)] {
                try directory.leaveStaleFile("socket", former)
                let server = try await loop.createServer(on: endpoint) { EchoProtocol() }
                try await Self.echo(loop, path)
                await loop.until { server.connectionCount == 0 }
                server.close()
                #expect(try directory.files.isEmpty)
            }
        }
    }

    /// What a server may find where it wants to listen.
    enum Obstacle: CaseIterable {
        case file, directory, fifo, linkToStaleSocket, danglingLink

        func create(in directory: SocketDirectory) throws {
            let path = directory.file()
            switch self {
            case .file: directory.createFile()
            case .directory: try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            case .fifo: try #require(mkfifo(path, 0o600) == 0)
            case .linkToStaleSocket:
                try directory.leaveStaleFile("stale")
                try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: directory.file("stale"))
            case .danglingLink:
                try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: directory.file("none"))
            }
        }
    }

    // covers: 176
    @Test(arguments: TestLoop.all, Obstacle.allCases)
    func otherFileIsRefusedAndStays(kind: TestLoop, obstacle: Obstacle) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            try obstacle.create(in: directory)
            let files = try directory.files
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            }
            #expect(error?.errno == .addressInUse)
            #expect(
                error?.description
                    == "cannot listen on \(directory.file()): \(Errno.addressInUse) (the file there is not a socket)")
            #expect(try directory.files == files)
            #expect(loop.statistics.sources == 0)
        }
    }

    /// Who may have the path.
    enum Holder: CaseIterable {
        case server, serverThatHasNotStarted, serverWithAFullQueue, datagramSocket

        func hold(_ path: String) throws -> [Socket] {
            let address = SocketAddress(unixPath: path)!
            let socket = self == .datagramSocket ? try Socket.datagram(.unix) : try Socket.stream(.unix)
            try socket.bind(to: address)
            switch self {
            case .datagramSocket, .serverThatHasNotStarted: return [socket]
            case .server:
                try socket.listen(backlog: 10)
                return [socket]
            case .serverWithAFullQueue:
                try socket.listen(backlog: 0)
                let client = try Socket.stream(.unix)
                _ = try client.connect(to: address)
                return [socket, client]
            }
        }
    }

    // covers: 176
    @Test(arguments: TestLoop.all, Holder.allCases)
    func pathOfALiveSocketIsRefused(kind: TestLoop, holder: Holder) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let path = directory.file()
            let sockets = try holder.hold(path)
            defer { for socket in sockets { socket.close() } }
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.startServer(on: .unix(path)) { _, _ in }
            }
            #expect(error?.errno == .addressInUse && error?.detail == "another server uses it")
            #expect(error?.description.hasPrefix("cannot listen on \(path): ") == true)
            #expect(try directory.files == ["socket"])
            if holder == .server {
                // The other server has not noticed.
                #expect(try sockets[0].accept() == nil)
            }
        }
    }

    // covers: 176
    @Test(arguments: TestLoop.all)
    func secondServerLeavesTheFirstOneAlone(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let first = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            let error = await #expect(throws: IOError.self) {
                _ = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            }
            #expect(error?.errno == .addressInUse)
            try await Self.echo(loop, directory.file())
            await loop.until { first.connectionCount == 0 }
            #expect(first.acceptedCount == 1)
            first.close()
        }
    }

    /// What replaces the file of a server while it serves.
    enum Replacement: CaseIterable {
        case nothing, socket, file

        func replace(in directory: SocketDirectory) throws -> Socket? {
            let path = directory.file()
            try FileManager.default.removeItem(atPath: path)
            switch self {
            case .nothing: return nil
            case .socket:
                let socket = try Socket.stream(.unix)
                try socket.bind(to: SocketAddress(unixPath: path)!)
                return socket
            case .file:
                directory.createFile()
                return nil
            }
        }
    }

    @Test(arguments: TestLoop.all, Replacement.allCases)
    func fileThatHasReplacedItsOwnStays(kind: TestLoop, replacement: Replacement) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let server = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
            let other = try replacement.replace(in: directory)
            server.close()
            #expect(try directory.files == (replacement == .nothing ? [] : ["socket"]))
            other?.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func fileStaysIfTheOptionsSaySo(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let options = ServerOptions(removesSocketFile: false)
            let server = try await loop.createServer(on: .unix(directory.file()), options: options) { EchoProtocol() }
            server.close()
            #expect(try directory.files == ["socket"])
        }
    }

    /// Its creator removes it.
    @Test(arguments: TestLoop.all)
    func fileOfAGivenSocketStays(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let socket = try Socket.stream(.unix)
            try socket.bind(to: SocketAddress(unixPath: directory.file())!)
            let server = try await loop.createServer(on: .socket(socket)) { EchoProtocol() }
            try await Self.echo(loop, directory.file())
            await loop.until { server.connectionCount == 0 }
            server.close()
            #expect(try directory.files == ["socket"])
        }
    }

    @Test(arguments: TestLoop.all, [false, true])
    func fileIsRemovedWithItsLoop(kind: TestLoop, hasStarted: Bool) async throws {
        let directory = try SocketDirectory()
        defer { directory.remove() }
        try await withLoop(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            let options = ServerOptions(startsServing: hasStarted)
            _ = try await loop.createServer(on: .unix(directory.file()), options: options) { EchoProtocol() }
            #expect(try directory.files == ["socket"])
        }
        #expect(try directory.files.isEmpty)
    }

    @Test(arguments: TestLoop.all)
    func filesOfAServerThatFailsAreRemoved(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            let directory = try SocketDirectory()
            defer { directory.remove() }
            let addresses = [directory.file("a"), directory.file("b"), directory.file("none/c")]
                .map { SocketAddress(unixPath: $0)! }
            await #expect(throws: IOError.self) {
                _ = try await loop.createServer(on: .addresses(addresses)) { EchoProtocol() }
            }
            #expect(try directory.files.isEmpty)
            #expect(loop.statistics.sources == 0)
        }
    }

    /// A child process that closes what it has inherited does not end its parent's service.
    @Test(.startsProcess) func childDoesNotRemoveTheFileOfItsParent() throws {
        let directory = try SocketDirectory()
        defer { directory.remove() }
        let sockets = [try Socket.stream(.unix), try Socket.stream(.unix)]
        let files = try zip(sockets, ["a", "b"]).map { socket, name in
            try #require(
                try SocketFile.bind(socket, to: SocketAddress(unixPath: directory.file(name))!, "listen on"))
        }
        // Once before, so that the child need not look anything up: another thread may hold the runtime's locks.
        files[0].remove()
        #expect(try directory.files == ["b"])
        let child = fork()
        if child == 0 {
            files[1].remove()
            _exit(0)
        }
        try #require(child > 0)
        var status: CInt = -1
        while waitpid(child, &status, 0) < 0 {}
        #expect(try directory.files == ["b"])
        files[1].remove()
        #expect(try directory.files.isEmpty)
        for socket in sockets { socket.close() }
    }

    /// Several processes that start at the same time do not remove each other's socket.
    @Test(.expectsReleasedFiles) func oneOfSeveralServersReplacesAStaleFile() async throws {
        for _ in 0..<20 {
            let directory = try SocketDirectory()
            defer { directory.remove() }
            try directory.leaveStaleFile()
            let winners = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await withLoop(.scriptedSelector, LoopTestOptions(allowsLeftoverWork: true)) { loop in
                            do {
                                let server = try await loop.createServer(on: .unix(directory.file())) { EchoProtocol() }
                                // Its socket is still the one at the path.
                                try await Self.echo(loop, directory.file())
                                await loop.until { server.acceptedCount == 1 && server.connectionCount == 0 }
                                return 1
                            } catch let error as IOError where error.errno == .addressInUse {
                                return 0
                            }
                        }
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(winners >= 1)
        }
    }
}
