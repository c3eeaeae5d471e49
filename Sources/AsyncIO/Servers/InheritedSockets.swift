import AsyncIOSystem
import CAsyncIO
import SystemPackage

extension Endpoint {
    /// Returns the sockets that a service manager has opened for this process, for a server: socket activation, as in
    /// systemd.socket(5) and sd_listen_fds(3). `nil` if there are none, or none that has the name.
    ///
    /// ```swift
    /// let endpoint = try Endpoint.inherited(name: "http") ?? .host("127.0.0.1", port: 8080)
    /// ```
    ///
    /// Each socket is returned once: those with the name, or all that are left. The first call reads the environment
    /// variables LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, removes them, so that no child process takes the sockets
    /// for its own, and makes the sockets close-on-exec. It must not be made while another thread uses the environment.
    /// Sockets without a name have the name `unknown`.
    ///
    /// Throws `.invalidArgument` if the variables contradict each other, and an `IOError` if a descriptor is not open.
    /// - Thread: any.
    public static func inherited(name: String? = nil) throws -> Endpoint? {
        let result = InheritedSockets.ofThisProcess.withLock { state in
            // Read once, because the variables are removed.
            let found = state ?? Result { try InheritedSockets(firstDescriptor: 3, takeVariable: takeVariable) }
            state = found
            return found.map { inherited in
                var rest = inherited
                let sockets = rest.take(name)
                state = .success(rest)
                return sockets
            }
        }
        let sockets = try result.get()
        return sockets.isEmpty ? nil : .sockets(sockets)
    }

    private static func takeVariable(_ name: String) -> String? {
        guard let value = aio_environment_value(name).map({ String(cString: $0) }) else { return nil }
        aio_environment_remove(name)
        return value
    }
}

/// The sockets that a service manager has opened, and that no code has taken over yet.
struct InheritedSockets {
    static let ofThisProcess = Locked<Result<InheritedSockets, any Error>?>(nil)

    private(set) var sockets: [(name: String, socket: Socket)] = []

    init(firstDescriptor: CInt, takeVariable: (String) -> String?) throws {
        // All are removed, even if they are for another process.
        let process = takeVariable("LISTEN_PID")
        let number = takeVariable("LISTEN_FDS")
        let names = takeVariable("LISTEN_FDNAMES")
        guard let number, let process, CInt(process) == getpid() else { return }
        guard let count = Int(number), (0...Int(CInt.max - firstDescriptor)).contains(count) else {
            throw EventLoopError(.invalidArgument, "the environment variable LISTEN_FDS is not a number: '\(number)'")
        }
        let listed = names?.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if count > 0, let listed, listed.count != count {
            throw EventLoopError(
                .invalidArgument,
                "the environment variable LISTEN_FDNAMES contains \(listed.count) names for \(count) descriptors")
        }
        for index in 0..<count {
            let socket = Socket(number: firstDescriptor + CInt(index))
            let result = aio_set_close_on_exec(socket.number)
            if result < 0 {
                throw IOError(Errno(rawValue: -result), operation: "use descriptor \(socket.number) of LISTEN_FDS")
            }
            sockets.append((listed?[index] ?? "unknown", socket))
        }
    }

    /// Removes and returns the sockets with the name, or all.
    mutating func take(_ name: String?) -> [Socket] {
        let taken = sockets.filter { name == nil || $0.name == name }
        sockets.removeAll { name == nil || $0.name == name }
        return taken.map(\.socket)
    }
}
