#if os(Linux)
import AsyncIOSystem
import AsyncIOTesting
import CAsyncIO
import Foundation
import Proactors
import SystemPackage
import Testing

@testable import AsyncIO

/// What a kernel or a sandbox may refuse. `Tests/EndToEnd/parts/sandboxes.sh` makes the kernel refuse it.
struct IOUringProbeTests {
    private static let needed = IOUringProbe(
        features: IOUringProbe.neededFeatures.reduce(0) { $0 | $1.0 },
        operations: Set(IOUringProbe.neededOperations.map { $0.0 }))

    @Test func kernelThatHasWhatIsNeededIsAccepted() {
        #expect(Self.needed.refusal == nil)
        #expect(IOUringProbe(features: .max, operations: Set(0...255)).refusal == nil)
    }

    // covers: 99
    @Test func missingFeatureIsNamed() throws {
        #expect(IOUringProbe.neededFeatures.count > 3)
        for (feature, name) in IOUringProbe.neededFeatures {
            var probe = Self.needed
            probe.features &= ~feature
            try expectRefusal(probe, .notSupported, "the kernel's io_uring lacks \(name)")
        }
    }

    // covers: 99
    @Test func missingOperationIsNamed() throws {
        #expect(IOUringProbe.neededOperations.count > 10)
        for (operation, name) in IOUringProbe.neededOperations {
            var probe = Self.needed
            probe.operations.remove(operation)
            try expectRefusal(probe, .notSupported, "the kernel's io_uring lacks the operation '\(name)'")
        }
    }

    // covers: 99
    @Test(arguments: ["io_uring_setup", "io_uring_enter", "io_uring_register (IORING_REGISTER_PROBE)"])
    func failedCallIsNamedWithItsCause(call: String) throws {
        let forbidden = "is forbidden, by kernel.io_uring_disabled or a sandbox such as a container's seccomp filter"
        let causes: [(Errno, String)] = [
            (.notPermitted, "\(call) \(forbidden) (Operation not permitted)"),
            (.permissionDenied, "\(call) \(forbidden) (Permission denied)"),
            (.noFunction, "\(call) does not exist in the kernel, or a sandbox hides it (Function not implemented)"),
            (.invalidArgument, "the kernel is older than Linux 6.1 (\(call): Invalid argument)"),
            (
                .noMemory,
                "\(call) failed: Cannot allocate memory; the memory of a ring may count towards RLIMIT_MEMLOCK"
            ),
            (.tooManyOpenFiles, "\(call) failed: Too many open files"),
            (.tooManyOpenFilesInSystem, "\(call) failed: Too many open files in system"),
        ]
        for (errno, sentence) in causes {
            var probe = Self.needed
            probe.failure = (call, errno)
            try expectRefusal(probe, errno, sentence)
        }
    }

    /// The reason is the probe's sentence everywhere, and the default loop is the same as on a system without io_uring.
    private func expectRefusal(_ probe: IOUringProbe, _ errno: Errno, _ sentence: String) throws {
        let refusal = try #require(probe.refusal)
        #expect(refusal.errno == errno)
        #expect(refusal.description == sentence)

        let table = LoopKind.support(nil) { kind in if kind == .ioUring { throw refusal } }
        #expect(table.first { $0.kind == .ioUring }?.reason == "refused: \(sentence)")
        #expect(table.filter(\.isDefault).map(\.kind) == [.epoll])

        // The same would be true if io_uring were the first choice.
        func make(_ kind: LoopKind) throws -> LoopKind {
            if kind == .ioUring { throw try #require(BackEndFailure(refusal, of: "io_uring")).error }
            return kind
        }
        #expect(try LoopKind.makeBest(of: LoopKind.ofThisSystem, make) == .epoll)

        let error = #expect(throws: (any Error).self) { try make(.ioUring) }
        let isTemporary = [.noMemory, .tooManyOpenFiles, .tooManyOpenFilesInSystem].contains(errno)
        if isTemporary {
            #expect((error as? IOError)?.errno == errno)
        } else {
            #expect((error as? EventLoopError)?.code == .unsupported)
            #expect(error.map { "\($0)" } == "the event loop 'io_uring' is not available: \(sentence)")
        }
    }

    // MARK: The kernel

    private static let isAllowedHere = IOUringProbe.probe().refusal == nil

    // covers: 99
    @Test(.startsProcess, .enabled(if: isAllowedHere))
    func temporaryFailureIsNotRemembered() async {
        await #expect(processExitsWith: .success) {
            // No descriptor at all, because another thread may close one meanwhile.
            try setDescriptorLimit(0)
            for _ in 0..<2 {
                let error = #expect(throws: IOError.self) { try LoopKind.ioUring.makeLoop() }
                guard error?.errno == .tooManyOpenFiles else { exit(2) }
                guard LoopKind.available.isEmpty else { exit(3) }
            }
            try setDescriptorLimit(4_096)
            guard LoopKind.available.first == .ioUring else { exit(4) }
            try LoopKind.ioUring.makeLoop().close()
            exit(EXIT_SUCCESS)
        }
    }

    /// Newer kernels count a closed ring towards the limit of its user for some time, unless the user is root.
    @Test(.startsProcess, .enabled(if: isAllowedHere))
    func loopsFollowOneAnotherWithinALimitOfLockedMemory() async {
        await #expect(processExitsWith: .success) {
            let resource = __rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue)
            var limit = rlimit(rlim_cur: 512 << 10, rlim_max: 512 << 10)
            guard setrlimit(resource, &limit) == 0 else { exit(2) }
            if geteuid() == 0 { guard setuid(61_234) == 0 else { exit(3) } }
            try OtherThread.run {
                for _ in 0..<20 {
                    let loop = try LoopKind.ioUring.makeLoop()
                    loop.callSoon { loop.stop() }
                    try loop.runForever()
                    try loop.close()
                }
            }
            exit(EXIT_SUCCESS)
        }
    }

    // covers: 99
    @Test(.enabled(if: isAllowedHere && RefusedSystemCall.isPossible), arguments: [EPERM, ENOSYS, ENOMEM])
    func refusalAfterASuccessIsNoticed(error: CInt) async throws {
        try LoopKind.ioUring.makeLoop().close()
        try OtherThread.run {
            try #require(RefusedSystemCall.ioUringSetup.begin(error))
            let reason = IOUringUnavailable("io_uring_setup", Errno(rawValue: error)).description
            #expect(LoopKind.support(nil) { try $0.tryOut() }.first?.reason == "refused: \(reason)")
            #expect(!LoopKind.available.contains(.ioUring))
            #expect(throws: (any Error).self) { try LoopKind.ioUring.makeLoop() }
            #expect(throws: (any Error).self) { try ProactorEventLoop() }
            #expect(throws: (any Error).self) { try DefaultEventLoopPolicy.proactor.newEventLoop() }
            let loop = try LoopKind.makeDefault(nil) { try $0.makeLoop() }
            #expect(loop.backendName == "epoll")
            try loop.close()
        }
    }
}
#endif
