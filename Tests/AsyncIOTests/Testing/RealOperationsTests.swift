import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Proactors
import SystemPackage
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The operations of the proactors that carry them out, one by one, without a loop.
struct RealOperationsTests {
    @Test(.expectsReleasedFiles, arguments: ProactorKind.available)
    func bytesAreReceivedIntoBuffersOfThePoolUntilEOF(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (near, far) = try Socket.pair()
        try proactor.submit(.receiveIntoPool(from: near, size: .small))
        #expect(try proactor.completions() == [])
        for text in ["one", "three"] {
            #expect(far.sendNow(text) == text.utf8.count)
            let completion = try #require(try proactor.completions().first)
            #expect(completion.hasMore && completion.result == text.utf8.count)
            let buffer = try #require(completion.buffer)
            #expect(String(decoding: buffer.bytes.prefix(completion.result), as: UTF8.self) == text)
            proactor.put(completion)
        }
        far.close()
        #expect(try proactor.completions(1) == [Completion(token: 1, result: 0)])
        near.close()
        proactor.close()
    }

    @Test(arguments: ProactorKind.available)
    func messageArrivesWithItsBytes(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (near, far) = try Socket.pair()
        let received = Message(byteCount: 16)
        try proactor.submit(.receiveMessage(from: near, header: received.header))
        #expect(try proactor.completions() == [])
        let sent = Message(bytes: Array("message".utf8))
        try proactor.submit(.sendMessage(header: sent.header, on: far))
        #expect(try proactor.completions(2) == [Completion(token: 2, result: 7), Completion(token: 1, result: 7)])
        #expect(received.text(7) == "message")
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    @Test(arguments: ProactorKind.available)
    func fileIsOpenedWrittenSynchronizedReadAndClosed(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        try withTemporaryPath { path in
            let options: FileDescriptor.OpenOptions = [.create, .exclusiveCreate]
            let opened = try proactor.result(
                of: .open(path, .readWrite, options: options, permissions: .ownerReadWrite))
            let file = FileDescriptor(rawValue: CInt(opened))
            #expect(fcntl(file.rawValue, F_GETFD) & FD_CLOEXEC != 0)
            let bytes = Array("0123456789".utf8)
            #expect(try bytes.withUnsafeBytes { try proactor.result(of: .write($0, to: file)) } == 10)
            #expect(try bytes[..<2].withUnsafeBytes { try proactor.result(of: .write($0, to: file, at: 4)) } == 2)
            #expect(try proactor.result(of: .fsync(file)) == 0)
            #expect(try proactor.result(of: .fsync(file, dataOnly: true)) == 0)
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 32, alignment: 1)
            defer { memory.deallocate() }
            #expect(try proactor.result(of: .read(from: file, into: memory, at: 2)) == 8)
            #expect(String(decoding: memory[..<8], as: UTF8.self) == "23016789")
            // The operations at an offset have not moved the position, which is the end.
            #expect(try proactor.result(of: .read(from: file, into: memory)) == 0)
            let status = UnsafeMutablePointer<stat>.allocate(capacity: 1)
            defer { status.deallocate() }
            #expect(try proactor.result(of: .stat(path, into: status)) == 0)
            #expect(status.pointee.st_size == 10)
            #expect(try proactor.result(of: .close(file)) == 0)
            #expect(aio_check_open(file.rawValue) == -EBADF)
            let missing = try proactor.result(of: .open(path.appending("x"), .readOnly))
            #expect(missing == -Int(ENOTDIR))
        }
        proactor.close()
    }

    @Test(arguments: ProactorKind.available, [true, false])
    func readOfAPipeWaitsForBytes(kind: ProactorKind, isBlocking: Bool) throws {
        let proactor = try DirectProactor(kind)
        let (read, write) = try makePipe()
        if !isBlocking { _ = aio_set_non_blocking(read.rawValue, 1) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
        defer { memory.deallocate() }
        try proactor.submit(.read(from: read, into: memory))
        #expect(try proactor.completions() == [])
        let bytes = Array("pipe".utf8)
        _ = try bytes.withUnsafeBytes { try proactor.submit(.write($0, to: write)) }
        #expect(try proactor.completions(2) == [Completion(token: 2, result: 4), Completion(token: 1, result: 4)])
        try write.close()
        #expect(try proactor.result(of: .read(from: read, into: memory)) == 0)
        try read.close()
        proactor.close()
    }

    #if os(Linux)
    @Test(arguments: ProactorKind.available)
    func spliceWaitsForItsSourceAndForItsTarget(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (read, write) = try makePipe()
        let (near, far) = try Socket.pair()
        try proactor.submit(.splice(from: read, to: near.descriptor, byteCount: 100))
        #expect(try proactor.completions() == [])
        _ = try write.writeAll("through the pipe".utf8)
        #expect(try proactor.completions(1) == [Completion(token: 1, result: 16)])
        #expect(far.receiveText(100) == "through the pipe")

        // The target is full.
        let filler = [UInt8](repeating: 1, count: 1 << 20)
        var filled = 0
        while case .bytes(let count) = filler.withUnsafeBytes({ near.send($0) }) { filled += count }
        _ = try write.writeAll("later".utf8)
        // The thread of the kernel that waits for the target does so only if the target blocks.
        if kind != .scripted { try near.setNonBlocking(false) }
        try proactor.submit(.splice(from: read, to: near.descriptor, byteCount: 100))
        #expect(try proactor.completions() == [])
        far.drop(filled)
        #expect(try proactor.completions(1) == [Completion(token: 2, result: 5)])
        #expect(far.receiveText(100) == "later")
        for descriptor in [read, write] { try descriptor.close() }
        for socket in [near, far] { socket.close() }
        proactor.close()
    }

    @Test(.startsProcess, arguments: ProactorKind.available)
    func childIsReapedWhenItHasEnded(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (read, write) = try makePipe()
        let child = try spawnReader(of: read)
        let process = FileDescriptor(rawValue: aio_open_process(child))
        let status = UnsafeMutablePointer<siginfo_t>.allocate(capacity: 1)
        defer { status.deallocate() }
        try proactor.submit(.waitForChild(process, into: status))
        #expect(try proactor.completions() == [])
        // The child ends at EOF.
        try write.close()
        #expect(try proactor.completions(1) == [Completion(token: 1, result: 0)])
        #expect(status.pointee.si_signo == SIGCHLD)
        #expect(status.pointee.si_code == CInt(CLD_EXITED))
        #expect(waitpid(child, nil, WNOHANG) == -1 && errno == ECHILD)
        for descriptor in [read, process] { try descriptor.close() }
        proactor.close()
    }
    #endif

    @Test(arguments: ProactorKind.available)
    func cancelledOperationCompletesOnceWithItsReason(kind: ProactorKind) throws {
        let proactor = try DirectProactor(kind)
        let (near, far) = try Socket.pair()
        try proactor.submit(.receiveIntoPool(from: near, size: .small))
        #expect(try proactor.completions() == [])
        proactor.cancel(.receiveIntoPool, 1)
        #expect(far.sendNow("late") == 4)
        #expect(try proactor.completions() == [Completion(token: 1, result: -Int(Errno.canceled.rawValue))])
        #expect(try proactor.completions() == [])
        #expect(near.receiveText(10) == "late")
        for socket in [near, far] { socket.close() }
        proactor.close()
    }
}

/// A C `msghdr` with one piece of memory.
final class Message {
    private let memory: UnsafeMutableRawBufferPointer
    private let piece = UnsafeMutablePointer<iovec>.allocate(capacity: 1)
    private let message = UnsafeMutablePointer<msghdr>.allocate(capacity: 1)

    init(byteCount: Int) {
        memory = .allocate(byteCount: byteCount, alignment: 1)
        piece.initialize(to: iovec(iov_base: memory.baseAddress, iov_len: .init(byteCount)))
        message.initialize(to: msghdr())
        message.pointee.msg_iov = piece
        message.pointee.msg_iovlen = 1
    }

    convenience init(bytes: [UInt8]) {
        self.init(byteCount: bytes.count)
        memory.copyBytes(from: bytes)
    }

    deinit {
        memory.deallocate()
        piece.deallocate()
        message.deallocate()
    }

    var header: UnsafeMutableRawPointer { UnsafeMutableRawPointer(message) }

    func text(_ count: Int) -> String { String(decoding: memory[..<count], as: UTF8.self) }
}

/// Returns a pipe that blocks, and that no child inherits.
private func makePipe() throws -> (read: FileDescriptor, write: FileDescriptor) {
    var descriptors: [CInt] = [-1, -1]
    try #require(aio_pipe(&descriptors) == 0)
    for descriptor in descriptors { try #require(aio_set_non_blocking(descriptor, 0) == 0) }
    return (FileDescriptor(rawValue: descriptors[0]), FileDescriptor(rawValue: descriptors[1]))
}

func withTemporaryPath(_ body: (FilePath) throws -> Void) throws {
    var template = Array("/tmp/asyncio-operations-XXXXXX".utf8CString)
    let name = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) }
    let folder = String(cString: try #require(name))
    let path = FilePath(folder).appending("file")
    defer {
        unlink(path.string)
        rmdir(folder)
    }
    try body(path)
}

#if os(Linux)
/// Starts `cat`, which reads a pipe until EOF.
func spawnReader(of read: FileDescriptor) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, read.rawValue, 0)
    var child: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("cat"), nil]
    defer { free(arguments[0]) }
    let error = posix_spawnp(&child, "cat", &actions, nil, &arguments, environ)
    try #require(error == 0)
    return child
}
#endif
