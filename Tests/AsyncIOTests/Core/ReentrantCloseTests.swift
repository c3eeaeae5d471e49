import AsyncIO
import AsyncIOSystem
import AsyncIOTesting
import Testing

/// Objects that are released when something is closed or replaced may use it in their `deinit`.
struct ReentrantCloseTests {
    @Test(arguments: TestLoop.all)
    func objectsReleasedInACloseMayUseTheLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind, LoopTestOptions(unhandledErrors: 1, allowsLeftoverWork: true)) { loop in
            let (end, peer) = try Socket.pair()
            let (pushed, pushedPeer) = try Socket.pair()
            let released = Counter()
            var timers: [RepeatingTimer] = []
            var transport: StreamTransport?
            /// Returns a function that captures an object, which uses the whole loop when it is released.
            func holding() -> () -> Void {
                let hook = ReleaseHook { [unowned loop] in
                    released.increment()
                    loop.setExceptionHandler { _, _ in }
                    loop.debug.warningHandler = { _ in }
                    loop.setTaskFactory { _, _, operation in operation }
                    loop.callSoon {}.cancel()
                    loop.callLater(after: .zero) {}.cancel()
                    for timer in timers { timer.cancel() }
                    try? loop.addReader(end.descriptor) {}
                    loop.removeReader(end.descriptor)
                    loop.removeSignalHandler(.windowChange)
                    _ = try? loop.callSoonThreadsafe {}
                    transport?.close()
                    transport?.abort()
                    try? loop.close()
                }
                return { hook.touch() }
            }
            func setHandlers() {
                let (handler, factory) = (holding(), holding())
                nonisolated(unsafe) let warned = holding()
                loop.setExceptionHandler { _, _ in handler() }
                loop.debug.warningHandler = { _ in warned() }
                loop.setTaskFactory { _, _, operation in
                    factory()
                    return operation
                }
            }
            func serve(_ factory: @escaping () -> Void, _ last: @escaping () -> Void) throws {
                loop.createBackgroundTask {
                    defer { loop.stop() }
                    transport = try await loop.createConnection(to: .socket(pushed)) { LastWord { _ in last() } }
                        .transport
                    _ = try await loop.createServer(host: "127.0.0.1", port: 0) {
                        factory()
                        return EchoProtocol()
                    }
                }
                try loop.runForever()
            }
            func post(_ callback: @escaping () -> Void) throws {
                nonisolated(unsafe) let callback = callback
                try loop.callSoonThreadsafe { callback() }
            }
            func repeatedly(_ callback: @escaping () -> Void) {
                timers.append(loop.callRepeatedly(every: .seconds(1)) { _ in callback() })
            }
            try serve(holding(), holding())
            setHandlers()
            for _ in 0..<3 {
                loop.callSoon(holding())
                loop.callLater(after: .seconds(1), holding())
                repeatedly(holding())
            }
            try loop.addReader(end.descriptor, holding())
            try loop.addWriter(end.descriptor, holding())
            try post(holding())
            #expect(released.value == 0)
            try loop.close()
            transport = nil
            #expect(released.value == 17)
            end.close()
            peer.close()
            pushedPeer.close()
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func discardedScriptStepMayAddAnother(backend: ScriptedBackend) async throws {
        let released = Counter()
        try await withScriptedNetworkThread(backend) { network in
            let hook = ReleaseHook { [unowned network] in
                released.increment()
                network.whenIdle {}
            }
            network.whenIdle { hook.touch() }
            try network.loop.close()
        }
        #expect(released.value == 1)
    }

    @Test(.startsProcess) func objectsReleasedByAPolicyMayUseThePolicy() async throws {
        await #expect(processExitsWith: .success) {
            final class LastPolicy: DefaultEventLoopPolicy, @unchecked Sendable {
                deinit {
                    _ = getEventLoopPolicy()
                    setEventLoopPolicy(DefaultEventLoopPolicy())
                }
            }
            setEventLoopPolicy(LastPolicy())
            setEventLoopPolicy(nil)
            try #require(type(of: getEventLoopPolicy()) == DefaultEventLoopPolicy.self)
            // The loop of a thread is released when another one is set, and then sets one itself.
            var released = 0
            func setLoop() throws {
                let hook = ReleaseHook {
                    released += 1
                    setEventLoop(nil)
                    _ = try? getEventLoop()
                }
                let loop = try newEventLoop()
                loop.callSoon { hook.touch() }
                setEventLoop(loop)
            }
            try setLoop()
            setEventLoop(try newEventLoop())
            try #require(released == 1)
        }
    }
}
