import AsyncIO
import AsyncIOTesting
import Testing

/// asyncio's accessors read and set the corresponding properties.
struct AsyncioNamesTests {
    @Test func accessorsOfALoopChangeItsProperties() async throws {
        try await withLoopThread { loop in
            loop.setDebug(true)
            #expect(loop.getDebug() && loop.debug.isEnabled)
            loop.debug.isEnabled = false
            #expect(!loop.getDebug())

            loop.exceptionHandler = { _, _ in }
            #expect(loop.getExceptionHandler() != nil)
            loop.setExceptionHandler(nil)
            #expect(loop.exceptionHandler == nil)

            loop.taskFactory = { _, _, operation in operation }
            #expect(loop.getTaskFactory() != nil)
            loop.setTaskFactory(nil)
            #expect(loop.taskFactory == nil)
        }
    }

    @Test func settingOneDebugOptionLeavesTheOthers() async throws {
        try await withLoopThread { loop in
            loop.debug.warningHandler = { _ in }
            loop.debug.slowCallbackDuration = .seconds(5)
            loop.debug.isEnabled.toggle()
            #expect(loop.debug.warningHandler != nil)
            #expect(loop.debug.slowCallbackDuration == .seconds(5))
        }
    }

    @Test(arguments: ScriptedBackend.allCases)
    func accessorsOfATransportChangeItsProperties(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            let first = Recorder()
            let second = Recorder()
            let (transport, _) = try network.connect(first)
            await network.idle()
            #expect(transport.getProtocol() === first)
            transport.protocol = second
            #expect(transport.getProtocol() === second)
            transport.setProtocol(first)
            #expect(transport.protocol === first)

            try transport.setWriteBufferLimits(lowBytes: 1, highBytes: 2)
            #expect(transport.getWriteBufferLimits() == (1, 2))
            #expect(transport.writeBufferLimits == (lowBytes: 1, highBytes: 2))
            #expect(transport.getWriteBufferSize() == 0)
            transport.abort()
        }
    }
}
