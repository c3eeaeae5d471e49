import AsyncIO
import AsyncIOTesting
import CAsyncIO
import Selectors
import SystemPackage
import Testing

/// A `deinit` of the user runs where the library releases closures and objects, and may call the same function again.
struct ReentrantReleaseTests {
    @Test(arguments: TestLoop.all)
    func capturesOfAnExceptionHandlerMayReplaceTheHandler(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var (released, reports) = (0, 0)
            func install() {
                let hook = ReleaseHook { [unowned loop] in
                    released += 1
                    loop.setExceptionHandler { _, _ in reports += 1 }
                }
                loop.setExceptionHandler { _, _ in hook.touch() }
            }
            install()
            loop.setExceptionHandler(nil)
            #expect(released == 1)
            loop.callSoon {
                loop.callExceptionHandler(ExceptionContext(message: "for the handler that the deinit has set"))
                loop.stop()
            }
            try loop.runForever()
            #expect(reports == 1)
            install()
            try loop.close()
            #expect(released == 2)
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfAWarningHandlerMayReplaceTheHandler(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let (released, warnings) = (Counter(), Counter())
            func install() {
                let hook = ReleaseHook { [unowned loop] in
                    released.increment()
                    loop.debug.warningHandler = { _ in warnings.increment() }
                }
                loop.debug.warningHandler = { _ in hook.touch() }
            }
            install()
            loop.debug.warningHandler = nil
            #expect(released.value == 1)
            loop.debug.isEnabled = true
            loop.debug.slowCallbackDuration = .zero
            loop.callSoon { loop.stop() }
            try loop.runForever()
            #expect(warnings.value > 0)
            install()
            try loop.close()
            #expect(released.value == 2)
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfATaskFactoryMayReplaceTheFactory(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var (released, calls) = (0, 0)
            func install() {
                let hook = ReleaseHook { [unowned loop] in
                    released += 1
                    loop.setTaskFactory { _, _, operation in
                        calls += 1
                        return operation
                    }
                }
                loop.setTaskFactory { _, _, operation in
                    hook.touch()
                    return operation
                }
            }
            install()
            loop.setTaskFactory(nil)
            #expect(released == 1)
            try loop.runUntilComplete {}
            #expect(calls == 1)
            install()
            try loop.close()
            #expect(released == 2)
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfATimerMayCancelOtherTimers(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            // More timers than the heap compacts at once, so that cancellations within a `deinit` happen during the
            // compaction.
            var timers: [TimerHandle] = []
            var released = 0
            for index in 0..<300 {
                let hook = ReleaseHook {
                    released += 1
                    if index > 0 { timers[index - 1].cancel() }
                    loop.callSoon {}.cancel()
                }
                timers.append(loop.callLater(after: .seconds(3600 + index)) { hook.touch() })
            }
            timers[299].cancel()
            #expect(released == 300)
            // The entries of cancelled timers are removed after an iteration.
            loop.callLater(after: .microseconds(1)) { loop.callSoon { loop.stop() } }
            try loop.runForever()
            #expect(loop.statistics.timers == 0)
            timers = []
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfARepeatingTimerMayCancelAnotherInAReleasedLoop(kind: TestLoop) async throws {
        try await withLoopThread { _ in
            var released = 0
            var timers: [RepeatingTimer] = []
            do {
                let loop = try kind.makeLoop()
                for _ in 0..<4 {
                    let hook = ReleaseHook {
                        released += 1
                        for timer in timers {
                            timer.restart()
                            timer.cancel()
                        }
                    }
                    timers.append(loop.callRepeatedly(every: .seconds(1)) { _ in hook.touch() })
                }
            }
            #expect(released == 4)
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfAReaderMayChangeTheWatchersOfItsDescriptor(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let (end, peer) = try Socket.pair()
            let descriptor = end.descriptor
            var (released, calls) = (0, 0)
            func watch(_ whenReleased: @escaping () -> Void) throws {
                let hook = ReleaseHook {
                    released += 1
                    whenReleased()
                }
                try loop.addReader(descriptor) { hook.touch() }
            }
            // The replacement is removed, and another one is set.
            try watch {
                loop.removeReader(descriptor)
                try? loop.addReader(descriptor) {
                    calls += 1
                    loop.stop()
                }
                try? loop.addWriter(descriptor) { loop.removeWriter(descriptor) }
            }
            try loop.addReader(descriptor) { calls += 100 }
            #expect(released == 1)
            try FileDescriptor(rawValue: peer.number).writeAll([1])
            try loop.runForever()
            #expect(calls == 1)
            // Removing the reader sets it again, and closing the socket removes both.
            try watch { try? watch { try? loop.sock.close(end) } }
            #expect(loop.removeReader(descriptor))
            #expect(released == 2)
            #expect(loop.removeReader(descriptor))
            #expect(released == 3)
            #expect(loop.statistics.sources == 0)
            peer.close()
        }
    }

    @Test(arguments: TestLoop.all)
    func capturesOfASubmittedCallbackMayCancelItAgain(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            var released = 0
            var handle: ThreadsafeHandle?
            do {
                let hook = ReleaseHook {
                    released += 1
                    #expect(handle?.cancel() == false)
                    _ = try? loop.callSoonThreadsafe { loop.stop() }
                }
                handle = try loop.callSoonThreadsafe { hook.touch() }
            }
            #expect(handle?.cancel() == true)
            #expect(released == 1)
            handle = nil
            try loop.runForever()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func replacedProtocolMayReplaceItsSuccessor(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            var released = 0
            let last = Recorder()
            func connect(_ whenReleased: @escaping (StreamTransport?) -> Void) async throws -> StreamTransport {
                let (transport, _) = try network.connect(
                    LastWord {
                        released += 1
                        whenReleased($0)
                    })
                await network.idle()
                return transport
            }
            let replaced = try await connect { transport in
                transport?.setProtocol(last)
                transport?.write("bye")
            }
            replaced.setProtocol(Recorder())
            // Released after the iteration, because it may be the one that is called.
            #expect(released == 0)
            await network.idle()
            #expect(released == 1)
            #expect(replaced.protocol === last)
            replaced.abort()

            // During a lingering close, the protocol that is notified of the loss is replaced.
            let lingering = try await connect { transport in
                transport?.setProtocol(last)
                _ = transport?.protocol
            }
            lingering.closeGracefully(within: .seconds(1))
            lingering.setProtocol(Recorder())
            await network.idle()
            #expect(released == 2)
            #expect(lingering.protocol === last)
            lingering.abort()

            // The last reference is released with the connection.
            let lost = try await connect { transport in
                #expect(transport?.protocol == nil)
                transport?.setProtocol(Recorder())
                transport?.abort()
            }
            lost.abort()
            await network.idle()
            #expect(released == 3)
            #expect(last.events == [.lost(nil), .lost(nil)])
        }
    }

    @Test(.expectsReleasedFiles, arguments: TestLoop.all)
    func capturesOfAServersFactoryMayCloseTheServerAndServeItsPort(kind: TestLoop) async throws {
        try await withLoop(kind) { loop in
            var released = 0
            var server: Server?
            var hasServedAgain = false
            do {
                let hook = ReleaseHook {
                    released += 1
                    guard let former = server else { return }
                    former.close()
                    #expect(!former.isServing)
                    #expect(former.sockets.isEmpty)
                    let port = former.port
                    loop.createBackgroundTask {
                        let successor = try await loop.createServer(host: "127.0.0.1", port: port) { EchoProtocol() }
                        successor.close()
                        hasServedAgain = true
                    }
                }
                server = try await loop.createServer(host: "127.0.0.1", port: 0) {
                    hook.touch()
                    return EchoProtocol()
                }
            }
            server?.close()
            #expect(released == 1)
            await loop.until { hasServedAgain }
            server = nil
        }
    }
}
