import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// Descriptors that are left open, that other code closes, or of which none is left. Each test runs in a separate
/// process.
struct EventLoopDescriptorsTests {
    // covers: 35
    @Test(.startsProcess) func closedOrReleasedLoopsLeaveNoDescriptors() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            let cycles = 200
            for kind in TestLoop.all {
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
                    // The test runner may open some meanwhile, but not one in every other round.
                    guard openDescriptors() < before + cycles / 2 else { exit(2) }
                }
            }
        }
    }

    // covers: 40
    @Test(.startsProcess) func loopWithoutFreeDescriptorsIsRejectedAndLeavesNoneOpen() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            // The test runner may open some meanwhile, but not one in each round.
            let rounds = 20
            for kind in TestLoop.all {
                let before = openDescriptors()
                var refusals = 0
                for _ in 0..<rounds {
                    // No descriptor is left, then one, and so on, until there are enough.
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

    // covers: 40
    @Test(.startsProcess) func runAndSignalHandlerOpenNoDescriptor() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            for kind in TestLoop.all {
                try setDescriptorLimit(4_096)
                var opened: [CInt] = []
                try OtherThread.run {
                    let loop = try kind.makeLoop()
                    // More descriptors than select can watch.
                    opened = openDescriptors(upTo: 1_100)
                    // At the first run all numbers are too high, at the second none is left.
                    for isExhausted in [false, true] {
                        if isExhausted { try setDescriptorLimit(firstFreeDescriptor()) }
                        guard isExhausted == (firstFreeDescriptor() < 0) else { exit(2) }
                        var calls = 0
                        loop.callSoon {
                            try loop.addSignalHandler(.user1) {
                                calls += 1
                                loop.removeSignalHandler(.user1)
                                loop.stop()
                            }
                            kill(getpid(), SIGUSR1)
                        }
                        loop.callLater(after: .seconds(60)) { loop.stop() }
                        try loop.runForever()
                        guard calls == 1 else { exit(3) }
                    }
                    try loop.close()
                }
                try setDescriptorLimit(4_096)
                for number in opened { close(number) }
            }
            exit(EXIT_SUCCESS)
        }
    }

    // covers: 40
    @Test(.startsProcess) func errorOfALoopThatCannotBeCreatedNamesTheDescriptorAndTheLimit() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            try setDescriptorLimit(4_096)
            _ = openDescriptors(upTo: 1_100)
            let tooHigh = #expect(throws: EventLoopError.self) { try LoopKind.select.makeLoop() }
            let number = firstFreeDescriptor()
            try #require(
                tooHigh?.description
                    == "the event loop's wake-up descriptor \(number) is too high for the select loop, "
                    + "which can only watch descriptors below 1024")
            try setDescriptorLimit(number)
            for kind in LoopKind.available {
                // poll and select have no descriptor of their own.
                let parts: [LoopKind: String] = [.epoll: "selector", .ioUring: "proactor"]
                let part = parts[kind] ?? "wake-up descriptor"
                let error = #expect(throws: IOError.self) { try kind.makeLoop() }
                try #require(
                    error?.description == "cannot create the \(part) of an event loop: Too many open files "
                        + "(the process's limit is \(number) descriptors, RLIMIT_NOFILE)")
            }
            exit(EXIT_SUCCESS)
        }
    }

    // covers: 299
    @Test(.startsProcess) func closedWakerDescriptorTrapsWithAMessage() async throws {
        let result = try await #require(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try await openDispatchDescriptors()
            let loop = try CountingLoop()
            let waker = loop.counter.registered[0]
            let isClosed = Flag()
            loop.callSoon {
                try waker.close()
                isClosed.set()
            }
            let thread = OtherThread { try? loop.runForever() }
            for _ in 0..<20_000 where !isClosed.isSet { usleep(1_000) }
            // The first attempt that finds the loop waiting.
            for _ in 0..<5_000 {
                try loop.callSoonThreadsafe {}
                usleep(1_000)
            }
            try loop.callSoonThreadsafe { loop.stop() }
            thread.join()
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains("of an event loop was closed by code that does not own it"))
    }

    // covers: 299
    @Test(.startsProcess) func closedSelectorDescriptorEndsTheRunAtOnce() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
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
    @Test(.startsProcess) func closedConnectionDescriptorEndsTheConnection() async {
        await #expect(processExitsWith: .success) {
            try await openDispatchDescriptors()
            for kind in TestLoop.all {
                try await withLoop(kind) { loop in
                    try await withStreamPair(on: loop) { writer, reader in
                        _ = aio_close(writer.transport.driver.channel.socket.number)
                        let error = await #expect(throws: IOError.self) { try await writer.writeUntilItFails() }
                        try #require(error?.errno == .badFileDescriptor)
                        try #require(writer.transport.isClosing)
                        try #require(reader.transport.isClosing == false)
                    }
                }
            }
        }
    }
}

/// Opens descriptors until one has `number`, and returns those that it opened.
private func openDescriptors(upTo number: CInt) -> [CInt] {
    var opened: [CInt] = []
    while opened.last ?? -1 < number {
        let next = open("/dev/null", O_RDONLY)
        if next < 0 { break }
        opened.append(next)
    }
    return opened
}

private let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
