import AsyncIO
import AsyncIOTesting
import Testing

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

    @Test func everyKindOfThisSystemIsATestLoop() {
        #expect(TestLoop.all.count == LoopKind.available.count + 2)
        #expect(Set(TestLoop.allAndFiltered).count == TestLoop.allAndFiltered.count)
    }
}

private let ringRefusal: String? = {
    let row = LoopKind.support.first { $0.kind == .ioUring }
    return row?.isAvailable == true ? nil : row?.reason ?? "unknown"
}()
