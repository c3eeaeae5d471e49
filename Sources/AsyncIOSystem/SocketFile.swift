import CAsyncIO
package import SystemPackage

/// The file of a unix socket, as it was when this process bound the socket.
///
/// While the socket is open, no other file has the same identity. So the file is removed before the socket is closed.
package struct SocketFile: Sendable {
    package let address: SocketAddress
    private let identity: aio_file_identity
    private let processID: CInt

    /// Returns `nil` unless the file at the address is a socket.
    private init?(at address: SocketAddress) {
        var identity = aio_file_identity()
        guard address.withUnixPath({ aio_socket_file($0, &identity) }) == 1 else { return nil }
        self.address = address
        self.identity = identity
        processID = getpid()
    }

    /// Sets the permissions, which decide who may connect. chmod(2).
    package func setPermissions(_ permissions: FilePermissions) throws(Errno) {
        _ = try valueOrErrno(
            address.withUnixPath { aio_set_permissions($0, CUnsignedInt(permissions.rawValue)) } ?? 0)
    }

    /// Removes the file, unless another one has replaced it, and unless this is a child process.
    package func remove() {
        var current = aio_file_identity()
        _ = address.withUnixPath { path in
            guard getpid() == processID, aio_socket_file(path, &current) == 1, current.inode == identity.inode,
                current.device == identity.device
            else { return }
            _ = aio_remove_file(path)
        }
    }
}

extension SocketFile {
    /// Binds `socket` to a path, and returns its file; `nil` for an address without a path, and if the file was removed
    /// at once.
    ///
    /// Replaces the file of a socket that no process has any more. Throws an `Errno`, or an `IOError` that says who
    /// uses the path.
    package static func bind(
        _ socket: Socket, to address: SocketAddress, _ operation: String
    ) throws -> SocketFile? {
        guard let lock = address.withUnixPath({ aio_lock_directory($0) }) else {
            try socket.bind(to: address)
            return nil
        }
        // Two processes that find a stale file at the same time would remove each other's socket. Where the directory
        // cannot be locked, or another program holds the lock for long, that is the risk.
        defer { if lock >= 0 { aio_unlock_directory(lock) } }
        do {
            try socket.bind(to: address)
        } catch Errno.addressInUse {
            try removeStaleFile(at: address, operation)
            try socket.bind(to: address)
        }
        return SocketFile(at: address)
    }

    /// Removes the file, or throws because the path is in use.
    private static func removeStaleFile(at address: SocketAddress, _ operation: String) throws {
        func inUse(_ detail: String) -> IOError {
            IOError(.addressInUse, operation: operation, address: address, detail: detail)
        }
        var identity = aio_file_identity()
        let kind = address.withUnixPath { aio_socket_file($0, &identity) } ?? 0
        if kind == -ENOENT { return }
        if kind != 1 { throw inUse("the file there is not a socket") }
        let probe = try Socket.datagram(.unix)
        defer { probe.close() }
        do {
            // The kernel looks for the socket before it compares the types, so a server for connections does not notice
            // this, and it is found before it listens and while its queue is full.
            _ = try probe.connect(to: address)
        } catch .connectionRefused {
            _ = address.withUnixPath { aio_remove_file($0) }
            return
        } catch .noSuchFileOrDirectory {
            return
        } catch .permissionDenied {
            throw inUse("there is a socket, and finding out whether a server uses it is not permitted")
        } catch {}
        throw inUse("another server uses it")
    }
}
