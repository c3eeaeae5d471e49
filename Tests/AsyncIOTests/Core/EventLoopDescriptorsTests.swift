import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// Descriptors that are left open, that somebody else closes, or that there are none left of. Each test is a process of its
/// own.
struct EventLoopDescriptorsTests {
    // covers: 35
    @Test func loopsThatAreClosedOrDroppedLeaveNoDescriptors() async {
        await #expect(processExitsWith: .success) {
            wakeDispatch()
            let cycles = 200
            for kind in LoopKind.available {
                for closes in [true, false] {
                    let before = openDescriptors()
                    for _ in 0..<cycles {
                        let loop = try kind.makeLoop()
                        guard closes else { continue }
                        loop.callSoon { loop.stop() }
                        try OtherThread.run {
                            try loop.runForever()
                            try loop.close()
                        }
                    }
                    // The runner of the tests may open some meanwhile, but not one in every other round.
                    guard openDescriptors() < before + cycles / 2 else { exit(2) }
                }
            }
        }
    }

    // covers: 40
    @Test func aLoopForWhichThereAreNoDescriptorsIsRefusedAndLeavesNoneOpen() async {
        await #expect(processExitsWith: .success) {
            wakeDispatch()
            // The runner of the tests may open some meanwhile, but not one in each round.
            let rounds = 20
            for kind in LoopKind.available {
                let before = openDescriptors()
                var refusals = 0
                for _ in 0..<rounds {
                    // None is left, then one, and so on, until they are enough.
                    for number in (0..<256).filter({ fcntl($0, F_GETFD) < 0 }) {
                        var limit = rlimit()
                        getrlimit(resource, &limit)
                        limit.rlim_cur = rlim_t(number)
                        try #require(setrlimit(resource, &limit) == 0)
                        do {
                            try kind.makeLoop().close()
                            break
                        } catch {
                            refusals += 1
                        }
                    }
                }
                guard refusals >= rounds / 2 else { exit(2) }
                guard openDescriptors() < before + rounds else { exit(3) }
            }
            exit(EXIT_SUCCESS)
        }
    }

    // covers: 299
    @Test func aWakersDescriptorThatSomebodyElseClosedStopsTheProgramInWords() async throws {
        let result = try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            wakeDispatch()
            let loop = try CountingLoop()
            let waker = loop.counter.registered[0]
            let isClosed = Flag()
            loop.callSoon {
                try waker.close()
                isClosed.set()
            }
            let thread = OtherThread { try? loop.runForever() }
            while !isClosed.isSet { usleep(1_000) }
            // The first one that finds the loop asleep.
            for _ in 0..<5_000 {
                try loop.callSoonThreadsafe {}
                usleep(1_000)
            }
            try loop.callSoonThreadsafe { loop.stop() }
            thread.join()
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("of an event loop was closed by somebody else"))
    }

    // covers: 299
    @Test func aSelectorsDescriptorThatSomebodyElseClosedEndsTheRunAtOnce() async {
        await #expect(processExitsWith: .success) {
            wakeDispatch()
            let selector = try EpollSelector()
            let loop = try SelectorEventLoop(selector: selector)
            loop.callSoon { _ = aio_close(selector.descriptor.rawValue) }
            try OtherThread.run {
                for run in 1...2 {
                    do {
                        try loop.runForever()
                    } catch let error as IOError {
                        guard error.errno == .badFileDescriptor else { throw error }
                    }
                    guard loop.statistics.ticks == run + 1 else { throw EventLoopError(.busy, "it was retried") }
                }
            }
        }
    }

    // covers: 299
    @Test func aConnectionsDescriptorThatSomebodyElseClosedEndsTheConnection() async {
        await #expect(processExitsWith: .success) {
            wakeDispatch()
            for kind in LoopKind.available {
                try await withLoop(kind) { loop in
                    try await withStreamPair(on: loop) { writer, reader in
                        _ = aio_close(writer.transport.driver.socket.number)
                        let error = await #expect(throws: IOError.self) { try await writer.write("x") }
                        try #require(error?.errno == .badFileDescriptor)
                        try #require(writer.transport.isClosing)
                        try #require(reader.transport.isClosing == false)
                    }
                }
            }
        }
    }
}

/// Of the numbers that a process with few of them has.
private func openDescriptors() -> Int { (0..<1_024).count { fcntl($0, F_GETFD) >= 0 } }

/// Dispatch opens descriptors with its first timer, which may get the number of one that a test has closed.
private func wakeDispatch() {
    let fired = DispatchSemaphore(value: 0)
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(1)) { fired.signal() }
    fired.wait()
}

private let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
