public import SystemPackage

/// The best selector that this system allows. Python: `selectors.DefaultSelector`.
public enum DefaultSelector {
    /// Makes one, or throws the reason why the best one known cannot be had.
    public static func make() throws(Errno) -> any BaseSelector {
        #if os(Linux)
        return try EpollSelector()
        #else
        throw .notSupported
        #endif
    }
}
