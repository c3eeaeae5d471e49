import AsyncIOSystem
import AsyncIOTesting
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

struct DebugModeTests {
    // covers: 297
    @Test(arguments: TestLoop.all)
    func debugModeIsSetByTheProgramBeforeAndDuringARun(kind: TestLoop) async throws {
        try await withVirtualTimeLoopThread(kind) { loop, clock in
            let warnings = Warnings()
            loop.debug.warningHandler = warnings.add
            func beSlow() { clock.advance(by: .seconds(1)) }
            loop.debug.isEnabled = true
            #expect(loop.debug.isEnabled)
            loop.callSoon(beSlow)
            loop.callSoon {
                loop.debug.isEnabled = false
                // Takes effect in the next iteration.
                loop.callSoon(beSlow)
                loop.callSoon { loop.callSoon { loop.stop() } }
            }
            try loop.runForever()
            #expect(!loop.debug.isEnabled)
            #expect(warnings.all.count == 1)
        }
    }

    // covers: 297
    @Test(.startsProcess) func environmentSetsTheInitialDebugMode() async {
        await #expect(processExitsWith: .success) {
            for (value, isDebug) in [("1", true), ("true", true), ("0", false), ("", false), ("yes", false)] {
                setenv("ASYNCIO_DEBUG", value, 1)
                let loop = try LoopKind.auto.makeLoop()
                unsetenv("ASYNCIO_DEBUG")
                // Read once, when the loop is created.
                try #require(loop.debug.isEnabled == isDebug)
                try loop.close()
            }
            try #require(!LoopKind.auto.makeLoop().debug.isEnabled)
        }
    }

    // covers: 296
    @Test(arguments: TestLoop.all)
    func slowCallbacksAndTimersAreReportedWithTheirCallSites(kind: TestLoop) async throws {
        try await withVirtualTimeLoopThread(kind) { loop, clock in
            let warnings = Warnings()
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            #expect(loop.debug.slowCallbackDuration == .milliseconds(100))
            let pipe = try FileDescriptor.pipe()
            func take(_ milliseconds: Int) { clock.advance(by: .milliseconds(milliseconds)) }

            let line: UInt = #line + 1
            loop.callSoon { take(123) }
            loop.callSoon { take(99) }
            loop.callLater(after: .milliseconds(1)) { take(100) }
            try loop.callSoonThreadsafe { take(2_005) }
            let timer = loop.callRepeatedly(every: .seconds(1)) { _ in take(200) }
            try loop.addReader(pipe.readEnd) {
                take(300)
                loop.removeReader(pipe.readEnd)
            }
            try pipe.writeEnd.writeAll([1])
            loop.callLater(after: .seconds(10)) { loop.stop() }
            loop.callLater(after: .seconds(3)) {
                timer.cancel()
                loop.debug.slowCallbackDuration = .seconds(5)
                take(4_000)
            }
            try loop.runForever()
            try pipe.readEnd.close()
            try pipe.writeEnd.close()

            let slow = warnings.of(.slowCallback)
            #expect(slow.allSatisfy { $0.message.hasPrefix("Executing a") })
            func lines(_ milliseconds: Int) -> [UInt?] {
                slow.filter { $0.duration == .milliseconds(milliseconds) }.map { $0.callSite?.line }
            }
            #expect(lines(123) == [line])
            #expect(lines(99) == [])
            #expect(lines(100) == [line + 2])
            #expect(lines(2_005) == [line + 3])
            #expect(lines(200).allSatisfy { $0 == line + 4 } && !lines(200).isEmpty)
            #expect(lines(300) == [line + 5])
            #expect(lines(4_000) == [])
            let texts = slow.map(\.description)
            #expect(texts.contains { $0.hasPrefix("Executing a callback took 0.123 seconds (scheduled at ") })
            #expect(texts.contains { $0.hasPrefix("Executing a callback took 2.005 seconds (scheduled at ") })
            let watcher = "a watcher of descriptor \(pipe.readEnd.rawValue)"
            #expect(texts.contains { $0.hasPrefix("Executing \(watcher) took 0.300 seconds (scheduled at ") })
            #expect(loop.statistics.unhandledErrors == 0)
        }
    }

    // covers: 296
    @Test(arguments: TestLoop.all)
    func slowStepsOfTasksAreReportedWithTheTasksNameAndCallSite(kind: TestLoop) async throws {
        let warnings = Warnings()
        let line: UInt = #line + 5
        try await withVirtualTimeLoopThread(kind) { loop, clock in
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            func take(_ milliseconds: Int) { clock.advance(by: .milliseconds(milliseconds)) }
            loop.createBackgroundTask(name: "short") { take(111) }
            loop.createBackgroundTask(name: "long") {
                take(50)
                await loop.yield()
                take(222)
                try await loop.sleep(for: .milliseconds(1))
                take(333)
                await loop.yield()
                take(50)
                loop.stop()
            }
            Task(executorPreference: loop) { take(444) }
            loop.createBackgroundTask { take(555) }
            loop.createBackgroundTask {
                // The body runs in a separate task.
                try await withTimeout(.seconds(60)) {
                    await loop.yield()
                    take(666)
                }
            }
            try loop.runForever()
        }
        #expect(
            warnings.all.map(\.description).sorted() == [
                "Executing a step of a task took 0.444 seconds",
                "Executing a step of a task took 0.555 seconds (scheduled at \(#fileID):\(line + 12))",
                "Executing a step of task 'long' took 0.222 seconds (scheduled at \(#fileID):\(line + 1))",
                "Executing a step of task 'long' took 0.333 seconds (scheduled at \(#fileID):\(line + 1))",
                "Executing a step of task 'short' took 0.111 seconds (scheduled at \(#fileID):\(line))",
                "Executing a step of task 'timeout' took 0.666 seconds (scheduled at \(#fileID):\(line + 15))",
            ])
    }

    // covers: 296
    @Test(arguments: TestLoop.all)
    func slowTaskThatAnEventResumedIsReportedWithItsName(kind: TestLoop) async throws {
        let warnings = Warnings()
        try await withLoop(kind, patiently) { loop in
            loop.debug.warningHandler = warnings.add
            try await withStreamPair(on: loop) { writer, reader in
                nonisolated(unsafe) let reader = reader
                let reading = loop.createTask(name: "reading") {
                    let bytes = try await reader.read(maxBytes: 5)
                    usleep(2_000)
                    return bytes.count
                }
                await loop.yield()
                loop.debug.slowCallbackDuration = .milliseconds(2)
                loop.debug.isEnabled = true
                await loop.yield()
                try await writer.write("hello")
                #expect(try await reading.value == 5)
                loop.debug.isEnabled = false
            }
        }
        #expect(warnings.all.contains { $0.message.hasPrefix("Executing a step of task 'reading' took ") })
    }

    // covers: 296
    @Test(arguments: TestLoop.all)
    func slowConnectionIsReportedWithTheCallSiteOfItsServer(kind: TestLoop) async throws {
        let warnings = Warnings()
        let line = try await withVirtualTimeLoop(kind, patiently) { loop, clock in
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            let line: UInt = #line + 1
            let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, _ in
                _ = try await reader.readLine()
                clock.advance(by: .seconds(1))
            }
            try await loop.withConnection(host: "127.0.0.1", port: server.port) { _, writer in
                try await writer.write("x\n")
                await loop.until { server.connectionCount == 0 && server.acceptedCount == 1 }
            }
            server.close()
            loop.debug.isEnabled = false
            return line
        }
        #expect(
            warnings.all.map(\.description) == [
                "Executing a step of task 'connection' took 1.000 seconds (scheduled at \(#fileID):\(line))"
            ])
    }

    @Test func hopsAreReportedOncePerFunction() async throws {
        let warnings = Warnings()
        try await withLoop(.auto, patiently) { loop in
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            try await Task.detached(name: "stray") {
                for _ in 0..<3 { try await loop.sleep(for: .microseconds(1)) }
                _ = try await loop.resolve(host: "127.0.0.1", port: 1)
            }.value
            #expect(loop.statistics.hops == 3)
            loop.debug.isEnabled = false
        }
        let hops = warnings.of(.hop).map(\.message)
        #expect(
            hops == [
                "sleep(until:) was called outside its loop's thread by task 'stray'; the task hopped there and back"
            ])
    }

    @Test func slowLookupIsReported() async throws {
        let warnings = Warnings()
        let names = NameServer()
        try await withLoop(.auto, patiently) { loop in
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            loop.debug.slowCallbackDuration = .zero
            names.answer("slow.example")
            _ = try await loop.resolve(host: "slow.example", port: 7, by: names.resolver)
            loop.debug.isEnabled = false
        }
        let lookups = warnings.of(.slowLookup)
        #expect(lookups.count == 1)
        #expect(lookups.first?.message.hasPrefix("Resolving 'slow.example' took ") == true)
        await names.threadsEnd()
    }

    // covers: 298
    @Test(arguments: TestLoop.all)
    func loopReleasedWithoutACloseIsReportedWithItsName(kind: TestLoop) throws {
        let warnings = Warnings()
        var text = ""
        do {
            let loop = try kind.makeLoop()
            makeLoop(loop, warnings)
            text = "\(loop)"
        }
        #expect(warnings.all.map(\.kind) == [.unclosed])
        #expect(text.hasSuffix("EventLoop \(try kind.makeLoop().backendName), idle, debug>"))
        #expect(warnings.all.first?.description == "\(text) was released without close()")

        // No warning if the loop was closed, or debug mode is off.
        let closed = try kind.makeLoop()
        makeLoop(closed, warnings)
        try closed.close()
        makeLoop(try kind.makeLoop(), warnings, isDebug: false)
        #expect(warnings.all.count == 1)
    }

    private func makeLoop(_ loop: EventLoop, _ warnings: Warnings, isDebug: Bool = true) {
        loop.debug.isEnabled = isDebug
        loop.debug.warningHandler = warnings.add
    }

    // covers: 36, 298
    @Test(arguments: TestLoop.all)
    func connectionsAndServersThatTheLoopHasToCloseAreReported(kind: TestLoop) async throws {
        let warnings = Warnings()
        let ports = try await withLoop(kind, LoopTestOptions(allowsLeftoverWork: true)) { loop in
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            let line: UInt = #line + 1
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let closed = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            closed.close()
            let left = try await loop.createConnection(host: "127.0.0.1", port: server.port) { EchoProtocol() }
            await loop.until { server.acceptedCount == 1 }
            return (server: server.port, client: left.transport.localAddress?.port ?? 0, line: line)
        }
        let end = "was still open when its event loop was closed (created at \(#fileID):"
        #expect(
            warnings.of(.unclosed).map(\.description).sorted()
                == [
                    "a connection with 127.0.0.1:\(ports.client) \(end)\(ports.line))",
                    "a connection with 127.0.0.1:\(ports.server) \(end)\(ports.line + 3))",
                    "a server on 127.0.0.1:\(ports.server) \(end)\(ports.line))",
                ].sorted())
    }

    // covers: 298
    @Test func streamsReleasedWithoutACloseAreReported() async throws {
        let warnings = Warnings()
        try await withLoop(.auto, patiently) { loop in
            loop.debug.warningHandler = warnings.add
            loop.debug.isEnabled = true
            let server = try await loop.createServer(host: "127.0.0.1", port: 0) { EchoProtocol() }
            let line: UInt = #line + 1
            do { _ = try await loop.openConnection(host: "127.0.0.1", port: server.port) }
            await loop.until { !warnings.of(.unclosed).isEmpty }
            #expect(
                warnings.of(.unclosed).map(\.message) == [
                    "a connection with 127.0.0.1:\(server.port) was released without close()"
                ])
            #expect(warnings.of(.unclosed).first?.callSite?.line == line)
            loop.debug.isEnabled = false
            server.close()
            try await server.waitClosed()
        }
    }

    @Test(.startsProcess) func defaultWarningHandlerWritesALineToStandardError() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
            do {
                let loop = try LoopKind.auto.makeLoop()
                loop.debug.isEnabled = true
                loop.debug.slowCallbackDuration = .milliseconds(1)
                loop.callSoon {
                    usleep(1_000)
                    loop.stop()
                }
                try OtherThread.run { try loop.runForever() }
            }
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
        let warnings = lines.filter { $0.hasPrefix("asyncio: warning: ") }
        #expect(warnings.contains { $0.hasPrefix("asyncio: warning: Executing a callback took ") })
        #expect(
            warnings.contains {
                $0.contains("EventLoop ") && $0.hasSuffix(" was released without close()")
            })
    }
}
