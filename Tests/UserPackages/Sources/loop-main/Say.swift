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
