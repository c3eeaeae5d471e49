import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// The descriptor with which other threads wake a loop.
struct WakeUpTests {
    // covers: 101, 103
    @Test(arguments: TestLoop.all)
    func fullWakerDoesNotBlockThreadsAndWakesTheLoop(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let waker = try #require(loop.inbox.waker)
            // Until no wake-up can be written.
            var most = UInt64.max - 1
            while aio_write(waker.writeDescriptor.rawValue, &most, 8) == 8 {}
            var one: UInt64 = 1
            #expect(
                aio_write(waker.writeDescriptor.rawValue, &one, 8) == -Int(
                    Errno.resourceTemporarilyUnavailable.rawValue))
            var calls = 0
            nonisolated(unsafe) let count = { calls += 1 }
            let thread = OtherThread {
                waker.wake()
                for _ in 0..<100 { _ = try? loop.callSoonThreadsafe { count() } }
                _ = try? loop.callSoonThreadsafe { loop.stop() }
            }
            try loop.runForever()
            thread.join()
            #expect(calls == 100)
            // The waker works again.
            let other = OtherThread { _ = try? loop.callSoonThreadsafe { loop.stop() } }
            try loop.runForever()
            other.join()
        }
    }

    // covers: 103
    @Test(arguments: TestLoop.all)
    func emptyWakerIsNoErrorAndOtherErrorsAreReportedOnce(kind: TestLoop) async throws {
        try await withLoop(kind, LoopTestOptions(unhandledErrors: 1)) { loop in
            var reports: [ExceptionContext] = []
            loop.setExceptionHandler { _, context in reports.append(context) }
            let waker = try Waker()
            let source = WakerSource(waker)
            _ = source.run()
            waker.wake()
            _ = source.run()
            #expect(waker.drain() == nil)
            #expect(reports.isEmpty)

            // Its number now belongs to a file that cannot be read.
            try Self.replace(waker.descriptor, by: "/", .readOnly)
            for _ in 0..<3 { _ = source.run() }
            try #require(reports.count == 1)
            #expect((reports[0].error as? IOError)?.errno == .isDirectory)

            // A wake-up that cannot be written is not an error either, because the submission is in the inbox.
            try Self.replace(waker.descriptor, by: "/dev/full", .readWrite)
            waker.wake()
            _ = source.run()
            #expect(reports.count == 1)
        }
    }

    private static func replace(
        _ descriptor: FileDescriptor, by path: FilePath, _ mode: FileDescriptor.AccessMode
    ) throws {
        let other = try FileDescriptor.open(path, mode)
        _ = try other.duplicate(as: descriptor)
        try other.close()
    }

    // covers: 110
    @Test(arguments: TestLoop.all)
    func waitingLoopIsWokenOnceForSeveralSubmissions(kind: TestLoop) async throws {
        try await withLoopThread(kind) { loop in
            let waker = try #require(loop.inbox.waker)
            // What a loop does before it waits.
            #expect(loop.inbox.prepareToSleep())
            let threads = (0..<4).map { _ in
                OtherThread { for _ in 0..<100 { _ = try? loop.callSoonThreadsafe {} } }
            }
            for thread in threads { thread.join() }
            #expect(Self.takeWakeUps(waker) == 1)
            loop.inbox.wokeUp()
            // A loop that is not waiting needs no wake-up.
            OtherThread { for _ in 0..<100 { _ = try? loop.callSoonThreadsafe {} } }.join()
            #expect(Self.takeWakeUps(waker) == 0)
            loop.stop()
            try loop.runForever()
            // Nor does a loop that finds a submission when it is about to wait.
            OtherThread { _ = try? loop.callSoonThreadsafe {} }.join()
            #expect(!loop.inbox.prepareToSleep())
            loop.inbox.wokeUp()
            #expect(Self.takeWakeUps(waker) == 0)
        }
    }

    /// Returns the number of wake-ups: eight bytes each in a pipe, their sum in an eventfd.
    private static func takeWakeUps(_ waker: Waker) -> Int {
        var numbers = [UInt64](repeating: 0, count: 512)
        let count = numbers.withUnsafeMutableBytes { aio_read(waker.descriptor.rawValue, $0.baseAddress!, $0.count) }
        return count < 8 ? 0 : Int(numbers[..<(count / 8)].reduce(0, +))
    }

    // covers: F18
    @Test(arguments: TestLoop.all)
    func selfSchedulingCallbacksDoNotStarveTimersAndInput(kind: TestLoop) async throws {
        try await withLoop(kind, patiently) { loop in
            let isOver = Over()
            var turns = 0
            func again() {
                turns += 1
                if !isOver.value { loop.callSoon(again) }
            }
            loop.callSoon(again)
            let thread = OtherThread {
                while !isOver.value { _ = try? loop.callSoonThreadsafe {} }
            }
            defer {
                isOver.value = true
                thread.join()
            }
            try await withStreamPair(on: loop) { writer, reader in
                for number in 0..<50 {
                    try await loop.sleep(for: .microseconds(10))
                    try await writer.write([UInt8(number)])
                    #expect(try await reader.readExactly(1) == [UInt8(number)])
                }
            }
            #expect(turns > 50)
        }
    }

    /// A deliberate race: one thread submits at any moment, the loop waits and wakes.
    // covers: 100, 109, F32
    @Test(arguments: TestLoop.all)
    func submissionWhileTheLoopStartsToWaitIsNotLost(kind: TestLoop) async throws {
        let count = rounds(debug: 1_000, full: 4_000)
        try await withLoop(kind, patiently) { loop in
            // The thread responds at once, while the loop is about to wait: sometimes before, sometimes after.
            let ball = Over()
            let thread = OtherThread {
                for _ in 0..<count {
                    while !ball.value {
                        if ball.isAbandoned { return }
                        sched_yield()
                    }
                    ball.value = false
                    _ = try? loop.callSoonThreadsafe { ball.returned?.resume() }
                }
            }
            defer {
                ball.isAbandoned = true
                thread.join()
            }
            for round in 0..<count {
                if round % 3 == 0 { await loop.yield() }
                await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                    ball.returned = continuation
                    ball.value = true
                }
            }
        }
    }
}

private final class Over: @unchecked Sendable {
    private let lock = Locked((value: false, isAbandoned: false))
    /// Only used on the loop's thread.
    var returned: UnsafeContinuation<Void, Never>?

    var value: Bool {
        get { lock.withLock { $0.value } }
        set { lock.withLock { $0.value = newValue } }
    }

    var isAbandoned: Bool {
        get { lock.withLock { $0.isAbandoned } }
        set { lock.withLock { $0.isAbandoned = newValue } }
    }
}
