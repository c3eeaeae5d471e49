import AsyncIO
import AsyncIOTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The loops that tests run on.
struct TestLoopTests {
    #if os(Linux)
    /// Where the system forbids io_uring, this test is skipped and its comment says why, because then no test has run
    /// on io_uring.
    @Test(.enabled(if: ringRefusal == nil, "no test runs on io_uring: \(ringRefusal ?? "")"))
    func testsRunOnIOUring() async throws {
        #expect(LoopKind.available.contains(.ioUring))
        let names = try await withLoop(TestLoop(.ioUring)) { loop in "\(type(of: loop))" }
        #expect(names == "ProactorEventLoop")
    }
    #endif

    @Test(.startsProcess) func everyKindOfThisSystemIsATestLoop() async {
        await #expect(processExitsWith: .success) {
            unsetenv("ASYNCIO_TEST_LOOPS")
            guard TestLoop.kinds == LoopKind.available else { exit(1) }
            guard TestLoop.all.dropLast(2) == TestLoop.kinds.map({ TestLoop($0) })[...] else { exit(2) }
            guard TestLoop.all.suffix(2) == [.scriptedSelector, .scriptedProactor] else { exit(3) }
            guard Set(TestLoop.allAndFiltered).count == TestLoop.allAndFiltered.count else { exit(4) }
        }
    }

    @Test(.startsProcess) func variableLeavesOutTheOtherLoops() async {
        await #expect(processExitsWith: .success) {
            setenv("ASYNCIO_TEST_LOOPS", "select,nonsense,scripted proactor", 1)
            guard TestLoop.kinds == [.select] else { exit(1) }
            guard TestLoop.all == [TestLoop(.select), .scriptedProactor] else { exit(2) }
            guard TestLoop.allAndFiltered == TestLoop.all + [.scriptedProactor.filtered] else { exit(3) }
        }
    }
}

private let ringRefusal: String? = {
    let row = LoopKind.support.first { $0.kind == .ioUring }
    return row?.isAvailable == true ? nil : row?.reason ?? "unknown"
}()
