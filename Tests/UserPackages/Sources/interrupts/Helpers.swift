import AsyncIO

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Writes a line at once, also to a pipe.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// A copy of this process that does `body`. Swift's own name for it is unavailable.
func startChild(_ body: () -> Void) -> pid_t {
    typealias Fork = @convention(c) () -> pid_t
    let fork = unsafeBitCast(dlsym(nil, "fork"), to: Fork.self)
    let child = fork()
    if child == 0 { body() }
    return child
}

/// A run on a thread of its own, to its end.
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
