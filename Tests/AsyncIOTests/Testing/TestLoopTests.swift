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
        #expect(TestLoop.all.contains(TestLoop(.ioUring)))
        #expect(TestLoop.allAndFiltered.contains(TestLoop(.ioUring).filtered))
        let names = try await withLoop(TestLoop(.ioUring)) { loop in "\(type(of: loop))" }
        #expect(names == "ProactorEventLoop")
    }
    #endif

    @Test func everyKindIsATestLoop() {
        #expect(TestLoop.all == TestLoop.kinds.map { TestLoop($0) } + [.scriptedSelector, .scriptedProactor])
        #expect(Set(TestLoop.allAndFiltered).count == TestLoop.allAndFiltered.count)
    }

    @Test(.startsProcess) func kindsAreThoseOfThisSystem() async {
        await #expect(processExitsWith: .success) {
            unsetenv("ASYNCIO_TEST_LOOPS")
            guard TestLoop.kinds == LoopKind.available else { exit(1) }
        }
    }

    @Test(.startsProcess) func variableLeavesOutTheOtherKinds() async {
        await #expect(processExitsWith: .success) {
            setenv("ASYNCIO_TEST_LOOPS", "select,nonsense", 1)
            guard TestLoop.kinds == [.select] else { exit(1) }
        }
    }
}

private let ringRefusal: String? = {
    let row = LoopKind.support.first { $0.kind == .ioUring }
    return row?.isAvailable == true ? nil : row?.reason ?? "unknown"
}()
