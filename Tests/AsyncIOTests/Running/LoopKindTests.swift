import AsyncIOTesting
import Foundation
import Proactors
import Selectors
import SystemPackage
import Testing

@testable import AsyncIO

/// The kinds of loops, which of them this system has, and which of them `auto` chooses. `Tests/EndToEnd/parts/loops.sh`
/// tests what happens when the kernel refuses one.
struct LoopKindTests {
    // covers: 98, 99
    @Test func everyKindThatWorksHereCanBeForced() throws {
        let kinds = LoopKind.available
        #expect(kinds.suffix(2) == [.poll, .select])
        for kind in kinds {
            let loop = try kind.makeLoop()
            #expect(loop.backendName == kind.rawValue)
            #expect((loop is ProactorEventLoop) == (kind == .ioUring))
            try loop.close()
        }
    }

    @Test func kindsAreInTheOrderOfTheirBackEnds() {
        #expect(LoopKind.ofThisSystem == LoopKind.allCases.filter { LoopKind.ofThisSystem.contains($0) })
        #expect(LoopKind.readinessBased == DefaultSelector.candidates.compactMap { LoopKind(rawValue: $0.name) })
        #if os(Linux)
        #expect(LoopKind.ofThisSystem == [.ioUring, .epoll, .poll, .select])
        #endif
    }

    // covers: 98, 99
    @Test func kindOfAnotherSystemIsRejectedByName() throws {
        for kind in LoopKind.allCases where kind != .auto && !LoopKind.ofThisSystem.contains(kind) {
            let error = #expect(throws: EventLoopError.self) { try kind.makeLoop() }
            #expect(error?.code == .unsupported)
            let description = try #require(error?.description)
            #expect(description.hasPrefix("the event loop '\(kind)' is not supported by "))
        }
    }

    // MARK: The choice

    // covers: 99
    @Test func automaticChoiceIsTheFirstKindThatIsNotRefused() throws {
        let kinds: [LoopKind] = [.ioUring, .epoll, .poll, .select]
        for count in 0..<kinds.count {
            let refused = kinds.prefix(count)
            let chosen = try LoopKind.makeBest(of: kinds) { kind in
                if refused.contains(kind) { throw EventLoopError(.unsupported, "\(kind) is refused") }
                return kind
            }
            #expect(chosen == kinds[count])
        }
        let all = #expect(throws: EventLoopError.self) {
            try LoopKind.makeBest(of: kinds) { kind in throw EventLoopError(.unsupported, "\(kind) is refused") }
        }
        #expect(all?.description == "io_uring is refused")
    }

    // covers: 99
    @Test(arguments: [Errno.noMemory, .tooManyOpenFiles, .tooManyOpenFilesInSystem])
    func temporaryFailureOfTheRingIsAReasonForASelectorButNotForASlowerOne(errno: Errno) throws {
        func choose(failing: Set<LoopKind>) throws -> LoopKind {
            try LoopKind.makeBest(of: [.ioUring, .epoll, .poll]) { kind in
                if failing.contains(kind) { throw IOError(errno, operation: "create \(kind)") }
                return kind
            }
        }
        #expect(try choose(failing: [.ioUring]) == .epoll)
        let error = #expect(throws: IOError.self) { try choose(failing: [.ioUring, .epoll]) }
        #expect(error?.operation == "create epoll")
    }

    @Test func ringIsChosenByNameOnly() throws {
        #expect(LoopKind.automatic == LoopKind.readinessBased)
        #expect(try LoopKind.makeDefault(nil) { $0 } == LoopKind.automatic[0])
        #expect(try LoopKind.makeDefault("io_uring") { $0 } == .ioUring)
    }

    // MARK: ASYNCIO_LOOP

    // covers: 99
    @Test func variableNamesTheKind() throws {
        for kind in LoopKind.allCases where kind != .auto {
            #expect(try LoopKind.makeDefault(kind.rawValue) { $0 } == kind)
        }
        for value in [nil, "", "auto"] {
            #expect(try LoopKind.makeDefault(value) { $0 } == LoopKind.automatic[0])
        }
    }

    // covers: 99
    @Test func variableWithAnUnknownNameIsAnErrorThatListsTheNames() {
        for value in ["foo", "EPOLL", "epoll ", "io-uring"] {
            let error = #expect(throws: EventLoopError.self) { try LoopKind.makeDefault(value) { $0 } }
            #expect(error?.code == .invalidArgument)
            #expect(
                error?.description == "ASYNCIO_LOOP is '\(value)', which is not the name of an event loop; "
                    + "use one of \(LoopKind.names())")
        }
        #expect(LoopKind.names().hasPrefix("auto, "))
        #expect(LoopKind.names().hasSuffix(", poll, select"))
    }

    // covers: 99
    @Test func variableThatNamesARefusedKindIsAnErrorThatSaysWhy() {
        let refusal = IOUringUnavailable(.notSupported, "the kernel's io_uring lacks internal polling")
        let error = #expect(throws: EventLoopError.self) {
            try LoopKind.makeDefault("io_uring") { _ in throw BackEndFailure(refusal, of: "io_uring")!.error }
        }
        #expect(error?.code == .unsupported)
        #expect(
            error?.description == "ASYNCIO_LOOP: the event loop 'io_uring' is not available: \(refusal); "
                + "use one of \(LoopKind.names(except: .ioUring))")
        #expect(!LoopKind.names(except: .ioUring).contains("io_uring"))
        // The next attempt may succeed.
        #expect(throws: IOError(.tooManyOpenFiles, operation: "create the proactor of an event loop")) {
            try LoopKind.makeDefault("io_uring") { _ in
                throw BackEndFailure(IOUringUnavailable("io_uring_setup", .tooManyOpenFiles), of: "io_uring")!.error
            }
        }
    }

    // covers: 99
    @Test(.startsProcess) func variableIsTheDefaultOfEverythingThatNamesNoKind() async {
        await #expect(processExitsWith: .success) {
            for kind in LoopKind.available {
                setenv("ASYNCIO_LOOP", kind.rawValue, 1)
                try OtherThread.run {
                    let runner = Runner()
                    defer { try? runner.close() }
                    let names = [
                        try name(LoopKind.auto.makeLoop()), try name(newEventLoop()),
                        try name(DefaultEventLoopPolicy().newEventLoop()), try run { loop in loop.backendName },
                        try runner.run { loop in loop.backendName },
                    ]
                    guard names == Array(repeating: kind.rawValue, count: names.count) else { exit(2) }
                    // What names a kind ignores it.
                    guard try run(on: .poll, { loop in loop.backendName }) == "poll" else { exit(3) }
                    guard try name(LoopKind.select.makeLoop()) == "select" else { exit(4) }
                    guard try name(SelectorEventLoop()) == LoopKind.readinessBased[0].rawValue else { exit(5) }
                    guard try name(DefaultEventLoopPolicy.selector.newEventLoop()) != "io_uring" else { exit(6) }
                }
            }
            setenv("ASYNCIO_LOOP", "foo", 1)
            try OtherThread.run {
                guard code({ try run {} }) == .invalidArgument else { exit(7) }
                guard try name(LoopKind.poll.makeLoop()) == "poll" else { exit(8) }
            }
            exit(EXIT_SUCCESS)
        }
    }
}

private func name(_ loop: EventLoop) throws -> String {
    defer { try? loop.close() }
    return loop.backendName
}
