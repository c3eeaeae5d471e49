import CAsyncIO
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Returns the number that the next descriptor gets, or -1 if there is none.
func firstFreeDescriptor() -> CInt {
    let number = open("/dev/null", O_RDONLY)
    if number >= 0 { close(number) }
    return number
}

/// Raises the limit of open descriptors as far as the process may.
func raiseDescriptorLimit() {
    #if os(Linux)
    let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    let openFiles = RLIMIT_NOFILE
    #endif
    var limit = rlimit()
    guard getrlimit(openFiles, &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(openFiles, &limit)
}

/// Sets the soft limit of the process, for tests in a process of their own, and returns the former one.
@discardableResult
func setDescriptorLimit(_ count: CInt) throws -> CInt {
    #if os(Linux)
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    let resource = RLIMIT_NOFILE
    #endif
    var limit = rlimit()
    getrlimit(resource, &limit)
    let former = CInt(clamping: limit.rlim_cur)
    limit.rlim_cur = rlim_t(count)
    try #require(setrlimit(resource, &limit) == 0)
    return former
}

/// The number of open descriptors, for a process that has few of them.
func openDescriptors() -> Int { (0..<1_024).count { fcntl($0, F_GETFD) >= 0 } }
