import AsyncIO
import AsyncIOTesting
import Foundation
import Synchronization
import SystemPackage
import Testing

/// A cancellation races with what it cancels. Whichever comes first, no byte is lost and no task hangs.
struct CancellationTests {
    /// How the waiting task was created.
    enum Kind: CaseIterable {
        /// With `createTask`: one handler for the whole task.
        case recorded
        /// With `Task(executorPreference:)`: one handler per wait.
        case preferring
        /// With `Task.detached`: it runs on the pool and hops to the loop at any moment.
        case detached

        static let onTheLoop = [recorded, preferring]

        func start<Value: Sendable>(
            on loop: EventLoop, _ body: @escaping () async throws -> Value
        ) -> Task<Value, any Error> {
            switch self {
            case .recorded: return loop.createTask { try await body() }
            case .preferring:
                nonisolated(unsafe) let body = body
                return Task(executorPreference: loop) { try await body() }
            case .detached:
                nonisolated(unsafe) let body = body
                return Task.detached { try await body() }
            }
        }
    }

    /// When the cancellation comes.
    enum Moment: CaseIterable {
        case beforeTheTaskBegins
        /// In the iteration in which the byte is sent, when the task already waits.
        case withTheByte
        /// After the iteration in which the byte arrived.
        case after
        /// Whenever the other thread is scheduled.
        case fromAnotherThread
    }

    // covers: 72
    @Test(arguments: Kind.allCases, TestLoop.all)
    func anotherThreadCancelsAWaitThatNothingElseEnds(kind: Kind, loopKind: TestLoop) async throws {
        let count = rounds(debug: 100, full: 500)
        try await withLoop(loopKind, LoopTestOptions(timeLimit: .seconds(120))) { loop in
            try await withStreamPair(on: loop) { writer, reader in
                let pipe = Pipe()
                let silent = FileDescriptor(rawValue: pipe.fileHandleForReading.fileDescriptor)
                let canceller = Canceller()
                defer { canceller.end() }
                let waits: [() async throws -> Void] = [
                    { _ = try await reader.read(maxBytes: 16) },
                    { try await loop.sleep(for: .seconds(3_600)) },
                    { try await loop.waitReadable(silent) },
                ]
                for round in 0..<count {
                    for wait in waits {
                        let task = kind.start(on: loop, wait)
                        // Some tasks are cancelled before they wait.
                        if round % 3 > 0 { await loop.yield() }
                        canceller.cancel(task)
                        await #expect(throws: CancellationError.self) { try await task.value }
                    }
                }
                try await writer.write("still there")
                #expect(try await reader.read(maxBytes: 16) == Array("still there".utf8))
                withExtendedLifetime(pipe) {}
            }
        }
    }

    // covers: 72, 75
    @Test(arguments: Kind.onTheLoop, Moment.allCases)
    func cancelledReadLosesNoByte(kind: Kind, moment: Moment) async throws {
        for loopKind in TestLoop.all { try await cancelReads(kind, moment, loopKind) }
    }

    private func cancelReads(_ kind: Kind, _ moment: Moment, _ loopKind: TestLoop) async throws {
        let count = rounds(debug: 1_000, full: 10_000)
        let (received, cancelled) = try await withLoop(loopKind, LoopTestOptions(timeLimit: .seconds(120))) { loop in
            try await withStreamPair(on: loop) { writer, reader in
                var received: [UInt8] = []
                var cancelled = 0
                let canceller = Canceller()
                defer { canceller.end() }
                for round in 0..<count {
                    let task = kind.start(on: loop) { try await reader.read(maxBytes: 16) }
                    if moment == .beforeTheTaskBegins {
                        task.cancel()
                    } else {
                        await loop.yield()
                    }
                    if moment == .fromAnotherThread { canceller.cancel(task) }
                    try await writer.write([UInt8(truncatingIfNeeded: round)])
                    switch moment {
                    case .withTheByte: task.cancel()
                    case .after:
                        await loop.yield()
                        task.cancel()
                    default: break
                    }
                    do { received += try await task.value } catch is CancellationError { cancelled += 1 }
                }
                // The stream is still usable.
                while received.count < count { received += try await reader.read(maxBytes: 4096) }
                return (received, cancelled)
            }
        }
        #expect(received == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
        if moment == .withTheByte { #expect(cancelled > 0) }
    }

    // covers: 72, 75
    @Test(arguments: Kind.onTheLoop, TestLoop.all)
    func sleepEndsHoweverItsCancellationAndItsTimerCoincide(kind: Kind, loopKind: TestLoop) async throws {
        let count = rounds(debug: 4_000, full: 20_000)
        try await withLoop(loopKind, LoopTestOptions(timeLimit: .seconds(120))) { loop in
            var generator = SeededGenerator(seed: 5)
            let canceller = Canceller()
            defer { canceller.end() }
            for round in 0..<count {
                let delay = Duration.nanoseconds(Int64.random(in: 0..<20_000, using: &generator))
                let task = kind.start(on: loop) { try await loop.sleep(for: delay) }
                switch round % 4 {
                case 0: task.cancel()
                case 1:
                    await loop.yield()
                    task.cancel()
                default: canceller.cancel(task)
                }
                do { try await task.value } catch is CancellationError {}
            }
        }
    }

    @Test(arguments: Kind.onTheLoop, TestLoop.all)
    func descriptorWaitEndsHoweverItsCancellationAndTheByteCoincide(kind: Kind, loopKind: TestLoop) async throws {
        let count = rounds(debug: 1_000, full: 10_000)
        try await withLoop(loopKind, LoopTestOptions(timeLimit: .seconds(120))) { loop in
            let pipe = Pipe()
            let descriptor = FileDescriptor(rawValue: pipe.fileHandleForReading.fileDescriptor)
            let input = FileDescriptor(rawValue: pipe.fileHandleForWriting.fileDescriptor)
            let canceller = Canceller()
            defer { canceller.end() }
            for round in 0..<count {
                let task = kind.start(on: loop) { try await loop.waitReadable(descriptor) }
                await loop.yield()
                if round % 2 == 0 { canceller.cancel(task) } else { task.cancel() }
                _ = try input.writeAll([1])
                do { try await task.value } catch is CancellationError {}
                try await loop.waitReadable(descriptor)
                var byte: UInt8 = 0
                _ = try withUnsafeMutableBytes(of: &byte) { try descriptor.read(into: $0) }
            }
            withExtendedLifetime(pipe) {}
        }
    }

    @Test(arguments: TestLoop.all)
    func secondReaderIsRejectedAndTheFirstContinues(loopKind: TestLoop) async throws {
        try await withLoop(loopKind) { loop in
            try await withStreamPair(on: loop) { writer, reader in
                let task = loop.createTask { try await reader.read(maxBytes: 16) }
                await loop.yield()
                #expect(await asyncCode { _ = try await reader.read(maxBytes: 16) } == .busy)
                try await writer.write("x")
                let bytes = try await task.value
                #expect(bytes == [UInt8(ascii: "x")])
            }
        }
    }

    // covers: 75
    @Test(arguments: TestLoop.all)
    func cancelledReadExactlyBuffersTheReceivedBytes(loopKind: TestLoop) async throws {
        try await withLoop(loopKind) { loop in
            try await withStreamPair(on: loop) { writer, reader in
                for kind in Kind.onTheLoop {
                    let task = kind.start(on: loop) { try await reader.readExactly(6) }
                    await loop.yield()
                    try await writer.write("abc")
                    // Some bytes have arrived, and three are missing.
                    for _ in 0..<5 { await loop.yield() }
                    task.cancel()
                    await #expect(throws: CancellationError.self) { try await task.value }
                    try await writer.write("def")
                    let bytes = try await reader.readExactly(6)
                    #expect(String(decoding: bytes, as: UTF8.self) == "abcdef")
                }
            }
        }
    }

    @Test(arguments: Kind.onTheLoop, TestLoop.all)
    func cancelledWriteCountsTheBytesThatWereSent(kind: Kind, loopKind: TestLoop) async throws {
        try await withLoop(loopKind) { loop in
            try await withStreamPair(on: loop) { writer, reader in
                let bytes = [UInt8](repeating: 7, count: 20_000_000)
                let task = kind.start(on: loop) { try await writer.write(bytes) }
                await loop.yield()
                for _ in 0..<5 { await loop.yield() }
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
                let written = writer.bytesWritten
                #expect(written > 0 && written < bytes.count)
                // These bytes arrive and nothing else, and no EOF.
                #expect(await asyncCode { try await writer.writeEOF() } == .incompleteWrite)
                var received = 0
                while received < written { received += try await reader.read(maxBytes: 1_000_000).count }
                #expect(received == written)
                writer.close()
            }
        }
    }
}

/// A thread that cancels tasks, each as soon as it can.
private final class Canceller: Sendable {
    private final class Order: Sendable {
        let cancel: @Sendable () -> Void
        init(_ cancel: @escaping @Sendable () -> Void) { self.cancel = cancel }
    }

    /// The newest request, retained. It is an atomic because the thread sanitizer does not understand `Mutex`.
    private let order = Atomic<UInt>(0)
    private let isOver = Atomic<Bool>(false)
    private let work = DispatchSemaphore(value: 0)

    init() {
        _ = OtherThread { [self] in
            while !isOver.load(ordering: .acquiring) {
                work.wait()
                exchange(nil)?.cancel()
            }
        }
    }

    func cancel<Value>(_ task: Task<Value, any Error>) {
        _ = exchange(Order { task.cancel() })
        work.signal()
    }

    func end() {
        isOver.store(true, ordering: .releasing)
        work.signal()
    }

    private func exchange(_ new: Order?) -> Order? {
        let address = new.map { UInt(bitPattern: Unmanaged.passRetained($0).toOpaque()) } ?? 0
        let former = UnsafeRawPointer(bitPattern: order.exchange(address, ordering: .acquiringAndReleasing))
        return former.map { Unmanaged<Order>.fromOpaque($0).takeRetainedValue() }
    }
}
