import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import Synchronization
import SystemPackage
import Testing

/// Signals in a process that is busy, has forked, or is shared with other libraries.
extension SignalHandlersTests {
    // covers: 264, F41
    @Test(arguments: TestLoop.all)
    func floodOfSignalsAndPostsDelaysNoOtherSignalOrTimer(kind: TestLoop) async throws {
        final class Seen: Sendable {
            let terminate = Atomic<Bool>(false)
            let timers = Atomic<Int>(0)
        }
        try await withLoopThread(kind, patiently) { loop in
            let seen = Seen()
            var floods = 0
            try loop.addSignalHandler(.user1) { floods += 1 }
            try loop.addSignalHandler(.terminate) { seen.terminate.store(true, ordering: .relaxed) }
            func tick() {
                seen.timers.add(1, ordering: .relaxed)
                loop.callLater(after: .milliseconds(1), tick)
            }
            tick()
            let flood = OtherThread {
                unblock(SIGUSR1, SIGTERM)
                let count = rounds(debug: 100_000, full: 100_000)
                var sent = 0
                // The flood continues until the other signal was handled, and some timers.
                while sent < count
                    || !seen.terminate.load(ordering: .relaxed) || seen.timers.load(ordering: .relaxed) < 5
                {
                    pthread_kill(pthread_self(), SIGUSR1)
                    sent += 1
                    if sent % 10 == 0 { _ = try? loop.callSoonThreadsafe {} }
                    if sent == count / 2 { pthread_kill(pthread_self(), SIGTERM) }
                }
                _ = try? loop.callSoonThreadsafe { loop.stop() }
            }
            let before = aio_signal_count(SIGUSR1)
            try loop.runForever()
            flood.join()
            #expect(floods > 0)
            #expect(aio_signal_count(SIGUSR1) > before)
            try loop.close()
        }
    }

    // covers: 265, F42
    @Test(.startsProcess, arguments: TestLoop.all)
    func signalOfAForkedChildCallsNoHandlerOfItsParent(kind: TestLoop) async throws {
        // Swift does not import fork, for good reasons. The child makes system calls only.
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        try await withLoopThread(kind, patiently) { loop in
            var calls = 0
            try loop.addSignalHandler(.user1) {
                calls += 1
                loop.stop()
            }
            let before = aio_signal_count(SIGUSR1)
            let status = try OtherThread.run { () -> CInt in
                unblock(SIGUSR1)
                // Called once before, so that the child does not call the dynamic linker.
                kill(getpid(), 0)
                let child = fork()
                if child == 0 {
                    kill(getpid(), SIGUSR1)
                    kill(getpid(), SIGKILL)
                }
                var status: CInt = 0
                while waitpid(child, &status, 0) < 0, errno == EINTR {}
                return status
            }
            // The signal itself did not end the child, which has inherited the handler of its parent.
            #expect(status & 0x7f == SIGKILL)
            loop.callLater(after: .milliseconds(1)) { loop.stop() }
            try loop.runForever()
            #expect(calls == 0)
            #expect(aio_signal_count(SIGUSR1) == before)
            // The parent still receives its own signals.
            kill(getpid(), SIGUSR1)
            try loop.runForever()
            #expect(calls == 1)
            try loop.close()
        }
    }

    // covers: 261
    @Test(arguments: TestLoop.all)
    func ignoredSignalIsCaughtAndIgnoredAgain(kind: TestLoop) async throws {
        // As nohup(1) does.
        signal(SIGHUP, SIG_IGN)
        defer { resetDisposition(of: SIGHUP) }
        try await withLoop(kind, patiently) { loop in
            let former = disposition(of: SIGHUP)
            try await {
                let sequence = try loop.signals([.hangup])
                kill(getpid(), SIGHUP)
                for await signal in sequence {
                    #expect(signal == .hangup)
                    break
                }
            }()
            await loop.until { disposition(of: SIGHUP) == former }
            kill(getpid(), SIGHUP)
        }
    }

    // covers: 261
    @Test(arguments: TestLoop.all)
    func dispositionThatOtherCodeHasSetIsNotChanged(kind: TestLoop) async throws {
        defer { resetDisposition(of: SIGUSR1) }
        try await withLoopThread(kind, patiently) { loop in
            try loop.addSignalHandler(.user1) {}
            signal(SIGUSR1, SIG_IGN)
            let others = disposition(of: SIGUSR1)
            loop.removeSignalHandler(.user1)
            #expect(disposition(of: SIGUSR1) == others)
        }
    }

    // covers: 263
    @Test(.startsProcess) func anyNumberOfLoopsCanCatchSignals() async {
        await #expect(processExitsWith: .success) {
            try OtherThread.run {
                // Twice: the second time with the state that the first has left.
                for _ in 0..<2 {
                    let loops = try (0..<70).map { try TestLoop.all[$0 % TestLoop.all.count].makeLoop() }
                    var calls = 0
                    for loop in loops {
                        try loop.addSignalHandler(.user1) {
                            calls += 1
                            loop.stop()
                        }
                    }
                    kill(getpid(), SIGUSR1)
                    for loop in loops { try loop.runForever() }
                    try #require(calls == loops.count)
                    for loop in loops { try loop.close() }
                }
            }
        }
    }

    // covers: 292
    @Test(arguments: TestLoop.all)
    func errorOfASignalHandlerIsReportedWithItsCallSite(kind: TestLoop) async throws {
        struct Failure: Error {}
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            let line: UInt = #line + 1
            try loop.addSignalHandler(.user1) {
                loop.stop()
                throw Failure()
            }
            kill(getpid(), SIGUSR1)
            try loop.runForever()
            #expect(reports.map { $0.callSite?.line } == [line])
            #expect(reports.first?.error is Failure)
            loop.removeSignalHandler(.user1)
        }
    }

    /// The system calls of the loop's thread are interrupted continuously.
    @Test(arguments: TestLoop.all)
    func signalsOnTheLoopsThreadLoseNoByteAndEndNoWait(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            try loop.addSignalHandler(.user2) {}
            unblock(SIGUSR2)
            let thread = pthread_self()
            let isDone = Flag()
            let before = aio_signal_count(SIGUSR2)
            let disturber = OtherThread {
                while !isDone.isSet {
                    pthread_kill(thread, SIGUSR2)
                    usleep(50)
                }
            }
            let bytes = pattern(500_000)
            try await withEchoConnection(on: loop) { reader, writer in
                let writing = loop.createTask { try await writer.write(bytes) }
                #expect(try await reader.readExactly(bytes.count) == bytes)
                try await writing.value
            }
            // Also while the loop sleeps.
            let handled = aio_signal_count(SIGUSR2)
            let start = loop.now
            while aio_signal_count(SIGUSR2) < handled + 20 { try await loop.sleep(for: .milliseconds(1)) }
            #expect(loop.now >= start)
            isDone.set()
            disturber.join()
            #expect(aio_signal_count(SIGUSR2) > before)
            loop.removeSignalHandler(.user2)
        }
    }

    // covers: 266
    @Test(.startsProcess) func brokenPipeDoesNotEndTheProcess() async throws {
        await #expect(processExitsWith: .success) {
            signal(SIGPIPE, SIG_DFL)
            for kind in TestLoop.all {
                try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
                    // Unblocked, so that the signal would end the process.
                    unblock(SIGPIPE)
                    let (near, far) = try Socket.pair()
                    let driver = try loop.makeStreamDriver(ByteChannel(near))
                    let transport = StreamTransport(loop: loop, driver: driver, consumer: nil, peerAddress: nil)
                    let (reader, writer) = transport.makeStreams(limitBytes: 10)
                    far.close()
                    let error = await #expect(throws: IOError.self) { try await writer.writeUntilItFails() }
                    guard error?.errno == .brokenPipe else { exit(2) }
                    withExtendedLifetime(reader) {}

                    let (second, itsPeer) = try Socket.pair()
                    let pushed = StreamTransport(
                        loop: loop, driver: try loop.makeStreamDriver(ByteChannel(second)), consumer: EchoProtocol(),
                        peerAddress: nil)
                    pushed.start()
                    await loop.yield()
                    itsPeer.close()
                    pushed.write("x")
                    await loop.until { loop.statistics.sources == 0 }

                    // Standard error is a pipe without a reader.
                    let pipe = Pipe()
                    dup2(pipe.fileHandleForWriting.fileDescriptor, STDERR_FILENO)
                    try pipe.fileHandleForReading.close()
                    loop.setExceptionHandler(nil)
                    loop.callExceptionHandler(ExceptionContext(message: "nobody reads this"))
                }
            }
            exit(EXIT_SUCCESS)
        }
    }
}
