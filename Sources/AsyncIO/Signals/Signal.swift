import CAsyncIO

/// The number of a signal, signal(7).
public struct Signal: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public var rawValue: CInt

    public init(rawValue: CInt) {
        self.rawValue = rawValue
    }

    /// Ctrl-C (SIGINT).
    public static let interrupt = Signal(rawValue: SIGINT)
    /// A request to terminate (SIGTERM).
    public static let terminate = Signal(rawValue: SIGTERM)
    /// The terminal was closed. By convention a daemon reloads its configuration (SIGHUP).
    public static let hangup = Signal(rawValue: SIGHUP)
    /// For use by programs (SIGUSR1).
    public static let user1 = Signal(rawValue: SIGUSR1)
    /// For use by programs (SIGUSR2).
    public static let user2 = Signal(rawValue: SIGUSR2)
    /// A child process changed its state (SIGCHLD).
    public static let child = Signal(rawValue: SIGCHLD)
    /// The size of the terminal changed (SIGWINCH).
    public static let windowChange = Signal(rawValue: SIGWINCH)

    /// The name of signal(7), such as `SIGTERM`, or the number.
    public var description: String {
        switch self {
        case .interrupt: "SIGINT"
        case .terminate: "SIGTERM"
        case .hangup: "SIGHUP"
        case .user1: "SIGUSR1"
        case .user2: "SIGUSR2"
        case .child: "SIGCHLD"
        case .windowChange: "SIGWINCH"
        default: "signal \(rawValue)"
        }
    }
}
