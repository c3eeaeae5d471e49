#if os(Linux)
import Foundation

/// A system call that the kernel can be made to reject, as older kernels and sandboxes do.
enum RefusedSystemCall: String {
    case epollPwait2 = "epoll_pwait2"
    case ppoll
    case ioUringSetup = "io_uring_setup"

    private var number: UInt32 {
        switch self {
        case .epollPwait2: return 441
        case .ioUringSetup: return 425
        case .ppoll:
            #if arch(x86_64)
            return 271
            #else
            return 73
            #endif
        }
    }

    /// Whether this process may do that: not if seccomp itself is rejected.
    static let isPossible = (try? OtherThread.run { epollPwait2.begin(ENOSYS) }) == true

    /// Rejects the call from now on, for the calling thread and the threads that it starts. Returns whether that
    /// worked.
    func begin(_ error: CInt) -> Bool {
        // A program of the kernel's packet filter: code, the number of steps to skip if the condition is true or false,
        // operand.
        func step(_ code: UInt64, ifNot: UInt64 = 0, _ operand: UInt32) -> UInt64 {
            code | ifNot << 24 | UInt64(operand) << 32
        }
        var steps = [
            step(0x20, 0), // load the number of the call
            step(0x15, ifNot: 1, number),
            step(0x06, 0x0005_0000 | UInt32(error)), // SECCOMP_RET_ERRNO
            step(0x06, 0x7fff_0000), // SECCOMP_RET_ALLOW
        ]
        struct Program {
            let count: UInt16
            let steps: UnsafeMutablePointer<UInt64>?
        }
        // Swift imports no functions with variable arguments.
        typealias Control = @convention(c) (CInt, UInt, UnsafeRawPointer?, UInt, UInt) -> CInt
        guard let prctl = dlsym(nil, "prctl") else { return false }
        let control = unsafeBitCast(prctl, to: Control.self)
        let isSet = steps.withUnsafeMutableBufferPointer { steps in
            var program = Program(count: UInt16(steps.count), steps: steps.baseAddress)
            // PR_SET_NO_NEW_PRIVS, without which only root may; PR_SET_SECCOMP, SECCOMP_MODE_FILTER.
            return control(38, 1, nil, 0, 0) == 0 && control(22, 2, &program, 0, 0) == 0
        }
        guard isSet else { return false }
        // With this number of descriptors or events, the kernel would return EINVAL. Older libraries lack one of the
        // functions.
        typealias Call = @convention(c) (Int, Int, Int, Int, Int) -> CInt
        guard let call = dlsym(nil, rawValue) else { return true }
        return unsafeBitCast(call, to: Call.self)(0, -1, 0, 0, 0) == -1 && errno == error
    }
}
#endif
