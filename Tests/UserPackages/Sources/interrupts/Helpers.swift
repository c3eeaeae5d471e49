import AsyncIO

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Writes a line without buffering, also to a pipe.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// Forks this process, and calls `body` in the child. Swift's own name for the call is unavailable.
func startChild(_ body: () -> Void) -> pid_t {
    typealias Fork = @convention(c) () -> pid_t
    let fork = unsafeBitCast(dlsym(nil, "fork"), to: Fork.self)
    let child = fork()
    if child == 0 { body() }
    return child
}

/// Runs a loop on a separate thread, and waits until the run has ended.
func runOnAnotherThread(_ body: @escaping @Sendable () async throws -> Void) {
    final class Body {
        let call: @Sendable () async throws -> Void
        init(_ call: @escaping @Sendable () async throws -> Void) { self.call = call }
    }
    #if os(Linux)
    var thread = pthread_t()
    #else
    var thread: pthread_t?
    #endif
    let argument = Unmanaged.passRetained(Body(body)).toOpaque()
    pthread_create(
        &thread, nil,
        { argument in
            #if os(Linux)
            let body = argument!
            #else
            let body = argument
            #endif
            let call = Unmanaged<Body>.fromOpaque(body).takeRetainedValue().call
            try? run { try await call() }
            return nil
        }, argument)
    #if os(Linux)
    pthread_join(thread, nil)
    #else
    pthread_join(thread!, nil)
    #endif
}

/// The result of sigaction(2) for SIGINT: handler, flags and mask.
struct InterruptDisposition: Equatable {
    private let handler: UInt
    private let flags: CInt
    private let mask: [UInt8]

    init() {
        var action = sigaction()
        sigaction(SIGINT, nil, &action)
        #if os(Linux)
        handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self)
        #else
        handler = unsafeBitCast(action.__sigaction_u.__sa_handler, to: UInt.self)
        #endif
        flags = action.sa_flags
        // The kernel's set. The C library of Linux leaves the rest of its set undefined.
        mask = withUnsafeBytes(of: &action.sa_mask) { Array($0.prefix(8)) }
    }
}
