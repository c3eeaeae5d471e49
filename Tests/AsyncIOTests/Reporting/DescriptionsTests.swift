#if os(Linux)
import Foundation
import Proactors
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO
@testable import AsyncIOTesting

/// Compares what `print` writes for each public type with `Tests/Descriptions.txt`.
///
/// After an intended change, and for a new public type, add the value below and regenerate the file with
/// `ASYNCIO_UPDATE_DESCRIPTIONS=1 swift test --filter DescriptionsTests`. Then read it as a person who does not know
/// the library.
struct DescriptionsTests {
    @Test func everyPublicTypeHasADescription() async throws {
        let now = LoopInstant(nanoseconds: 12_345_678_901)
        let makeLoop = { try SelectorEventLoop(clock: VirtualClock(startingAt: now)) }
        let catalog = try await withLoop(makeLoop: makeLoop, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            var catalog = DescriptionCatalog()
            addSystem(to: &catalog)
            addPollers(to: &catalog)
            addErrors(to: &catalog)
            addLoop(loop, to: &catalog)
            addReports(loop, to: &catalog)
            try await addCoordination(to: &catalog)
            try await addConnections(loop, to: &catalog)
            try await addPipes(loop, to: &catalog)
            try addTesting(to: &catalog)
            return catalog
        }
        let file = DescriptionCatalog.root.appending(path: "Tests/Descriptions.txt")
        if ProcessInfo.processInfo.environment["ASYNCIO_UPDATE_DESCRIPTIONS"] != nil {
            try Data(catalog.text.utf8).write(to: file)
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        for (found, wanted) in zip(
            catalog.text.split(separator: "\n"), expected.split(separator: "\n")) where found != wanted
        {
            Issue.record("'\(found)' instead of '\(wanted)'; see the comment of this test")
            break
        }
        #expect(catalog.text == expected)
        let missing = try DescriptionCatalog.publicTypes().subtracting(catalog.types)
        #expect(missing.isEmpty, "public types without an entry here")
    }

    @Test func descriptionOfAnErrorCodeIsItsName() throws {
        let source = try String(
            contentsOf: DescriptionCatalog.root.appending(path: "Sources/AsyncIO/Core/EventLoopError.swift"),
            encoding: .utf8)
        let names = source.matches(of: /public static var (\w+): Code {/).map { String($0.1) }
        #expect(names.sorted() == Self.codes.map { "\($0)" }.sorted())
    }

    private static let codes: [EventLoopError.Code] = [
        .closed, .alreadyRunning, .anotherLoopRunning, .notRunning, .noCurrentLoop, .stoppedBeforeCompletion,
        .wrongThread, .busy, .timedOut, .descriptorInUse, .tooManyDescriptors, .tasksAlive, .unsupported,
        .invalidArgument, .calledFromTask, .unknownHost, .tooManyLookups, .resolverFailed,
        .invalidState, .brokenPromise, .connectionClosed, .connectionBroken, .runnerClosed, .interrupted,
        .incompleteWrite, .queueEmpty, .queueFull, .queueShutDown, .brokenBarrier, .sendfileNotAvailable,
    ]

    private static let site = CallSite(fileID: "App/main.swift", line: 7)
    private static let ipv4 = SocketAddress(literal: "127.0.0.1", port: 80)!

    // MARK: The values

    private func addSystem(to catalog: inout DescriptionCatalog) {
        catalog.add("IOError", IOError(.connectionRefused, operation: "connect to", address: Self.ipv4))
        let path = SocketAddress(unixPath: "/run/app.sock")!
        let detail = "another server uses it"
        catalog.add("IOError", IOError(.addressInUse, operation: "listen on", address: path, detail: detail))
        catalog.add("IOError", IOError(.tooManyOpenFiles, operation: "create the selector of an event loop"))
        catalog.add("IOResult", IOResult.bytes(3), IOResult.wouldBlock, IOResult.failed(.brokenPipe))
        catalog.add("LoopInstant", LoopInstant(nanoseconds: 12_345_678_901), LoopInstant.distantFuture)
        catalog.addText("MonotonicClock", "(has no values)")
        catalog.add("SocketAddress", Self.ipv4, SocketAddress(literal: "::1", port: 80)!)
        catalog.add("SocketAddress", SocketAddress(unixPath: "/run/app.sock")!)
        catalog.add("SocketAddress", SocketAddress(abstractName: "app")!)
        catalog.add("SocketAddress.Family", SocketAddress.Family.ipv4, SocketAddress.Family.ipv6)
        catalog.add("SocketAddress.Family", SocketAddress.Family.unix)
        if let (near, far) = try? Socket.pair() {
            let unnamed = near.peerAddress!
            catalog.add("SocketAddress", unnamed)
            catalog.add("IOError", IOError(.connectionReset, operation: "receive from", address: unnamed))
            catalog.add("Socket", near)
            near.close()
            far.close()
        }
        catalog.add("Socket", Socket(number: 999_999))
        catalog.add("PeerCredentials", PeerCredentials(processID: 4711, userID: 1000, groupID: 100))
        catalog.add("ReceivedDescriptors", ReceivedDescriptors(.bytes(5), [.standardInput, .standardOutput]))
        catalog.add("ReceivedDescriptors", ReceivedDescriptors(.bytes(5), wereTooMany: true))
        catalog.add("Socket.Kind", Socket.Kind.stream, Socket.Kind.datagram)
        catalog.add("SocketOption", SocketOption.noDelay, SocketOption(level: 1, name: 99))
        if let waker = try? Waker() { catalog.add("Waker", waker) }
    }

    private func addPollers(to catalog: inout DescriptionCatalog) {
        catalog.add("Readiness", Readiness.read, [.read, .write, .hangup] as Readiness, [] as Readiness)
        catalog.add("Interest", Interest.read, [.read, .write] as Interest, [] as Interest)
        catalog.add("ReadyEvent", ReadyEvent(token: 7, readiness: .read))
        catalog.add("SelectorKey", SelectorKey(descriptor: .standardInput, interest: .read, token: 7))
        catalog.add("Trigger", Trigger.level, Trigger.edge)
        catalog.addText("DefaultSelector", "(has no values)")
        catalog.addText("DefaultProactor", "(has no values)")
        let poll = PollSelector()
        catalog.add("PollSelector", poll)
        catalog.add("SelectorKeys", poll.keys)
        catalog.add("SelectorKeys.Iterator", poll.keys.makeIterator())
        catalog.add("SelectSelector", SelectSelector())
        if let epoll = try? EpollSelector() { catalog.add("EpollSelector", epoll) }
        let memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        let socket = Socket(number: 7)
        let address = SocketAddress(literal: "127.0.0.1", port: 80)!
        catalog.add("ProactorOperation", ProactorOperation.receive(from: socket, into: memory))
        catalog.add("ProactorOperation", ProactorOperation.send(UnsafeRawBufferPointer(memory), on: socket))
        catalog.add("ProactorOperation", ProactorOperation.accept(on: socket))
        catalog.add("ProactorOperation", ProactorOperation.connect(socket, to: address))
        catalog.add("ProactorOperation", ProactorOperation.poll(socket.descriptor, for: .read))
        catalog.add("ProactorOperation", ProactorOperation.receiveIntoPool(from: socket, size: .medium))
        catalog.add("ProactorOperation", ProactorOperation.read(from: socket.descriptor, into: memory, at: 512))
        catalog.add("ProactorOperation", ProactorOperation.open("/etc/hosts", .readOnly))
        catalog.add("ProactorOperation", ProactorOperation.close(socket.descriptor))
        let pipe = ProactorOperation.splice(from: socket.descriptor, to: .standardOutput, byteCount: 100)
        catalog.add("ProactorOperation", pipe)
        let pool = BufferPool()
        let buffer = PooledBuffer(pool.take(.small), .small)
        catalog.add("BufferPool", pool)
        catalog.add("BufferPool.Size", BufferPool.Size.large)
        catalog.add("PooledBuffer", buffer)
        catalog.add("Completion", Completion(token: 7, result: 5, hasMore: true, buffer: buffer))
        for isTruncated in [false, true] {
            let message = PooledMessage(in: buffer, byteCount: 5, isTruncated: isTruncated, sender: address)
            catalog.add("PooledMessage", message)
        }
        catalog.add("ProactorOperation", ProactorOperation.receiveMessages(from: socket, size: .large))
        pool.put(buffer.memory, buffer.size)
        #if os(Linux)
        let probe = IOUringProbe(failure: ("io_uring_setup", .noFunction))
        catalog.add("IOUringUnavailable", probe.refusal!)
        catalog.addText("IOUringProactor", "<IOUringProactor, 0 operations>")
        #endif
        let bytes = UnsafeRawBufferPointer(memory)
        catalog.add("ImmediateSend", ImmediateSend(bytes, on: socket, token: 7))
        catalog.add("ProactorOperation.Kind", ProactorOperation.Kind.receive)
        catalog.add("Completion", Completion(token: 7, result: 5, hasMore: true))
        catalog.add("StreamFilterResult", StreamFilterResult(consumedBytes: 5, needsRoom: true))
        catalog.add("Completion", Completion(token: 7, result: 5))
    }

    private func addErrors(to catalog: inout DescriptionCatalog) {
        for code in Self.codes { catalog.add("EventLoopError.Code", code) }
        let errors: [EventLoopError] = [
            .closed, .transportClosed, .socketClosed, .alreadyRunning, .cannotCloseRunning, .anotherLoopRunning,
            .notRunning, .stoppedBeforeCompletion, .runnerClosed, .interrupted, .noCurrentLoop(thread: "worker"),
            .wrongThread("callSoon"), .busy("read from this connection"),
            .tooManyDescriptors("descriptor", 1024, limit: 1024, loop: "select"), .tasksAlive(1), .tasksAlive(2),
            .calledFromTask("run"), .unsupported(feature: "reusePort", platform: "this system"),
            .timedOut("within \(Duration.milliseconds(200))", "withTimeout", Self.site),
            .queueEmpty, .queueFull(10), .queueShutDown, .brokenBarrier,
        ]
        for error in errors { catalog.add("EventLoopError", error) }
        let refused = IOError(.connectionRefused, operation: "connect to", address: Self.ipv4)
        catalog.add("ConnectError", ConnectError(endpoint: .host("example.org", port: 80), attempts: [refused]))
        catalog.add(
            "ConnectError", ConnectError(endpoint: .host("example.org", port: 80), attempts: [refused, refused]))
        catalog.add("ConnectError", ConnectError(endpoint: .host("example.org", port: 80), attempts: []))
        catalog.add("IncompleteReadError", IncompleteReadError(partial: [1, 2], expectedBytes: 5))
        catalog.add("IncompleteReadError", IncompleteReadError(partial: [1, 2], expectedBytes: nil))
        let overrun = LimitOverrunError("no separator within", limitBytes: 65_536, consumedBytes: 70_000)
        catalog.add("LimitOverrunError", overrun)
    }

    private func addLoop(_ loop: SelectorEventLoop, to catalog: inout DescriptionCatalog) {
        let (file, line) = (Self.site.fileID, Self.site.line)
        catalog.add("EventLoop", loop)
        catalog.add("SelectorEventLoop", loop)
        loop.debug.isEnabled = true
        catalog.add("SelectorEventLoop", loop)
        loop.debug.isEnabled = false
        if let closed = try? LoopKind.poll.makeLoop() {
            catalog.add("SelectorEventLoop", closed)
            try? closed.close()
            catalog.add("SelectorEventLoop", closed)
        }
        catalog.add("LoopSerialExecutor", loop.serialExecutor)
        catalog.add("SocketOperations", loop.sock)
        catalog.add("SystemResolver", SystemResolver.shared)
        catalog.add("NameInfoFlags", NameInfoFlags([.numericHost, .datagram]))
        let handle = loop.callSoon(fileID: file, line: line) {}
        catalog.add("Handle", handle)
        handle.cancel()
        catalog.add("Handle", handle)
        let timer = loop.callLater(after: .milliseconds(1_500), fileID: file, line: line) {}
        catalog.add("TimerHandle", timer)
        timer.cancel()
        catalog.add("TimerHandle", timer)
        if let sent = try? loop.callSoonThreadsafe(fileID: file, line: line, {}) {
            catalog.add("ThreadsafeHandle", sent)
            sent.cancel()
            catalog.add("ThreadsafeHandle", sent)
        }
        let repeating = loop.callRepeatedly(every: .seconds(1), fileID: file, line: line) { _ in }
        catalog.add("RepeatingTimer", repeating)
        repeating.cancel()
        catalog.add("RepeatingTimer", repeating)
        catalog.add("EventLoopClock", loop.clockSource)
        catalog.add("LoopClock", loop.clock)
        let future = Future<Int>(loop: loop, fileID: file, line: line)
        catalog.add("Future", future)
        let promise = future.makePromise()
        catalog.add("Promise", promise)
        catalog.add("Future.CallbackToken", future.addDoneCallback { _ in })
        try? promise.setResult(1)
        catalog.add("Promise", promise)
        let done = Future<Int>(loop: loop, fileID: file, line: line)
        try? done.setResult(42)
        catalog.add("Future", done)
        let failed = Future<Int>(loop: loop, fileID: file, line: line)
        try? failed.setException(EventLoopError.closed)
        _ = try? failed.result()
        catalog.add("Future", failed)
        let cancelled = Future<Int>(loop: loop, fileID: file, line: line)
        cancelled.cancel()
        catalog.add("Future", cancelled)
        catalog.add("LoopTaskGroup", LoopTaskGroup(loop: loop, site: Self.site))
        catalog.add("WaitCondition", WaitCondition.allCompleted, WaitCondition.firstCompleted, WaitCondition.firstError)
        let completed = asCompleted([Task<Int, any Error>]())
        catalog.add("LoopSequence", completed)
        for kind in LoopKind.allCases { catalog.add("LoopKind", kind) }
        // The same on every system with or without io_uring.
        let table = LoopKind.support(nil) { kind in
            if kind == .ioUring { throw IOUringProbe(failure: ("io_uring_setup", .notPermitted)).refusal! }
        }
        for support in table { catalog.add("LoopSupport", support) }
        let runner = Runner(loopFactory: { loop })
        catalog.add("Runner", runner)
        _ = try? runner.getLoop()
        catalog.add("Runner", runner)
        let unused = Runner()
        try? unused.close()
        catalog.add("Runner", unused)
        catalog.add("DefaultEventLoopPolicy", DefaultEventLoopPolicy())
        catalog.add("StrictEventLoopPolicy", StrictEventLoopPolicy())
        let readiness = loop.readiness(of: .standardInput, for: .read)
        catalog.add("LoopSequence", readiness)
        let signals: [Signal] = [
            .interrupt, .terminate, .hangup, .user1, .user2, .child, .windowChange, Signal(rawValue: 50),
        ]
        for signal in signals { catalog.add("Signal", signal) }
        if let sequence = try? loop.signals([.windowChange, Signal(rawValue: 62)]) {
            catalog.add("LoopSequence", sequence)
        }
    }

    private func addCoordination(to catalog: inout DescriptionCatalog) async throws {
        let lock = Lock()
        catalog.add("Lock", lock)
        try await lock.acquire()
        catalog.add("Lock", lock)
        catalog.add("Lock", try OtherThread.run { "\(lock)" })
        catalog.add("Semaphore", Semaphore(3))
        catalog.add("BoundedSemaphore", BoundedSemaphore())
        let event = Event()
        catalog.add("Event", event)
        event.set()
        catalog.add("Event", event)
        catalog.add("Condition", Condition(lock), Condition())
        let barrier = Barrier(parties: 3)
        catalog.add("Barrier", barrier)
        barrier.abort()
        catalog.add("Barrier", barrier)
        let queue = Queue<Int>(maxSize: 10)
        catalog.add("Queue", queue)
        try queue.putNowait(1)
        catalog.add("Queue", queue)
        catalog.add("LoopSequence", queue.items)
        queue.shutDown()
        catalog.add("Queue", queue)
        catalog.add("LifoQueue", LifoQueue<Int>())
        catalog.add("PriorityQueue", PriorityQueue<Int>())
    }

    private func addPipes(_ loop: EventLoop, to catalog: inout DescriptionCatalog) async throws {
        let pipe = try PipeEnds()
        let (input, _) = try await loop.connectReadPipe(pipe.reader) { Recorder() }
        let (output, _) = try await loop.connectWritePipe(pipe.writer) { Recorder() }
        catalog.add("StreamTransport", input, output)
        input.close()
        output.close()
        await loop.yield()
        await loop.yield()
        catalog.add("StreamTransport", input)
        catalog.addText("StandardStreams", "(has no values)")
        let ends = try Terminal.openPseudoTerminal()
        let terminal = try #require(Terminal(ends.terminal))
        catalog.add("Terminal", terminal)
        catalog.add("Terminal.Size", Terminal.Size(columns: 80, rows: 24))
        catalog.add("RawMode", RawMode(0, ends.terminal))
        catalog.add("LoopSequence", try terminal.sizes(on: loop))
        try ends.terminal.close()
        try ends.controller.close()
    }

    private func addReports(_ loop: SelectorEventLoop, to catalog: inout DescriptionCatalog) {
        catalog.add("CallSite", Self.site)
        catalog.add("ExceptionContext", ExceptionContext(message: "Exception in callback"))
        catalog.add(
            "ExceptionContext",
            ExceptionContext(
                message: "Something failed", error: EventLoopError.closed, callSite: Self.site, origin: Self.site,
                task: "worker", socket: .standardInput))
        catalog.add("LoopStatistics", LoopStatistics())
        var debug = DebugOptions()
        debug.isEnabled = false
        catalog.add("DebugOptions", debug)
        catalog.add("LoopWarning", LoopWarning(.slowCallback, "It took 1.000 seconds", callSite: Self.site))
        catalog.add("LoopWarning.Kind", LoopWarning.Kind.slowCallback, LoopWarning.Kind.hop, LoopWarning.Kind.unclosed)
        catalog.add("LoopWarning.Kind", LoopWarning.Kind.closedDescriptor, LoopWarning.Kind.slowLookup)
        for state in [TaskInfo.State.created, .running, .waiting, .suspended] {
            catalog.add("TaskInfo.State", state)
            catalog.add(
                "TaskInfo", TaskInfo(id: 1, name: "main", state: state, isCancelled: false, createdAt: Self.site))
        }
        catalog.add("TaskInfo", TaskInfo(id: 2, name: nil, state: .waiting, isCancelled: true, createdAt: Self.site))
    }

    private func addConnections(_ loop: SelectorEventLoop, to catalog: inout DescriptionCatalog) async throws {
        let hosts = ["example.org", "::1", ""]
        catalog.add("Endpoint", Endpoint.hosts(hosts, port: 80), Endpoint.address(Self.ipv4))
        catalog.add("Endpoint", Endpoint.unix("/run/app.sock"), Endpoint.abstract("app"))
        catalog.add("Endpoint", Endpoint.sockets([Socket(number: 7), Socket(number: 8)]))
        catalog.add("Endpoint", Endpoint.hosts([], port: 80), Endpoint.addresses([]), Endpoint.sockets([]))
        catalog.add("ServerOptions", ServerOptions())
        let report = ShutdownReport(served: 7, drained: 2, cancelled: 1, aborted: 0, duration: .milliseconds(5_004))
        catalog.add("ShutdownReport", report)
        catalog.add("ConnectionOptions", ConnectionOptions())
        let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
        catalog.add("Server", server)
        catalog.add("TransportSocket", server.sockets[0])
        let (reader, writer) = try await loop.openConnection(host: "127.0.0.1", port: server.port)
        await loop.until { server.connectionCount == 1 }
        catalog.add("Server", server)
        let transport = writer.transport
        catalog.add("StreamTransport", transport)
        catalog.add("StreamReader", reader)
        catalog.add("StreamWriter", writer)
        catalog.add("LoopSequence", reader.lines, reader.chunks, reader.frames())
        catalog.addText("StreamChunk", "(cannot be printed, since it cannot be copied)")
        let socket = transport.socket
        transport.writeEOF()
        catalog.add("StreamTransport", transport)
        catalog.add("StreamTransport", try OtherThread.run { "\(transport)" })
        writer.reset()
        catalog.add("StreamTransport", transport)
        catalog.add("TransportSocket", socket)
        try await writer.waitClosed()
        catalog.add("StreamWriter", writer)
        server.close()
        try await server.waitClosed()
        catalog.add("Server", server)
        try await addDatagrams(loop, to: &catalog)
        catalog.add("ByteQueue", ByteQueue())
        catalog.add("LengthPrefix", LengthPrefix.uint16)
    }

    private func addDatagrams(_ loop: SelectorEventLoop, to catalog: inout DescriptionCatalog) async throws {
        catalog.add("DatagramOptions", DatagramOptions())
        catalog.add("Datagram", Datagram(bytes: [1, 2], address: Self.ipv4), Datagram(bytes: []))
        let echo = try await loop.createDatagramEndpoint(local: .host("127.0.0.1", port: 0)) { DatagramEcho() }
        catalog.add("DatagramTransport", echo.transport)
        catalog.add("DatagramTransport", try OtherThread.run { "\(echo.transport)" })
        let endpoint = try await loop.openDatagramEndpoint(remote: .address(echo.transport.localAddress!))
        catalog.add("DatagramEndpoint", endpoint)
        catalog.add("LoopSequence", endpoint.makeAsyncIterator())
        endpoint.close()
        try await endpoint.waitClosed()
        catalog.add("DatagramEndpoint", endpoint)
        echo.transport.close()
        catalog.add("DatagramTransport", echo.transport)
    }

    private func addTesting(to catalog: inout DescriptionCatalog) throws {
        catalog.add("LoopTestOptions", LoopTestOptions())
        let problem = "left behind: a timer scheduled at App/main.swift:7"
        catalog.add("LoopTestFailure", LoopTestFailure(problems: [problem]))
        let cause = LoopTestFailure(problems: [problem])
        catalog.add("LoopCheckFailure", LoopCheckFailure(check: "half-close", cause: cause))
        for backend in ScriptedBackend.allCases { catalog.add("ScriptedBackend", backend) }
        for kind in [TestLoop(.poll), .scriptedSelector, .scriptedProactor.filtered] { catalog.add("TestLoop", kind) }
        // On another thread, because this one already runs a loop.
        let texts = try OtherThread.run { () -> [(String, String)] in
            let network = try ScriptedNetwork(.readiness)
            let (_, peer) = try network.connect(EchoProtocol())
            var texts = [
                ("ScriptedNetwork", "\(network)"), ("ScriptedPeer", "\(peer)"), ("VirtualClock", "\(network.clock)"),
            ]
            try network.loop.close()
            let proactor = ScriptedProactor(clock: VirtualClock())
            let loop = try ProactorEventLoop(proactor: proactor)
            texts.append(("ProactorEventLoop", "\(loop)"))
            texts.append(("ScriptedProactor", "\(proactor)"))
            texts.append(("VirtualTimeProactor", "\(VirtualTimeProactor(proactor, clock: VirtualClock()))"))
            texts.append(("VirtualTimeSelector", "\(VirtualTimeSelector(PollSelector(), clock: VirtualClock()))"))
            try loop.close()
            return texts
        }
        for (type, text) in texts { catalog.addText(type, text) }
        catalog.addText("ScriptedPoller", "(only its subclasses have values)")
        let selector = ScriptedSelector(clock: VirtualClock())
        catalog.add("ScriptedSelector", selector)
        catalog.add(
            "ScriptedSelector.Registration",
            ScriptedSelector.Registration(interest: .read, trigger: .level, token: 7))
        catalog.add("PassThroughFilter", PassThroughFilter())
        catalog.add("ScriptedSelector.Call", ScriptedSelector.Call.register(.standardInput, .read, .level))
        catalog.add("ScriptedSelector.Call", ScriptedSelector.Call.modify(.standardInput, .write, .edge))
        catalog.add("ScriptedSelector.Call", ScriptedSelector.Call.unregister(.standardInput))
        catalog.add(
            "ScriptedProactor.Operation",
            ScriptedProactor.Operation(token: 7, operation: .poll(FileDescriptor(rawValue: 7), for: .read)))
    }
}
#endif
