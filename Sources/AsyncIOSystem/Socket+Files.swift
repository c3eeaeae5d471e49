import CAsyncIO
package import SystemPackage

/// Sending from files.
extension Socket {
    /// Sends as many bytes of a file as the kernel accepts now, from `offset` on, without copying them through this
    /// process; 0 at the end of the file. Leaves the file's position as it is. Raises no SIGPIPE. sendfile(2).
    package func sendFile(_ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        IOResult(cResult: aio_send_file(number, file.rawValue, offset, byteCount))
    }
}

/// Regular files.
extension FileDescriptor {
    /// The size of a regular file. Throws `EINVAL` for anything else. fstat(2).
    package func regularFileSize() throws(Errno) -> Int64 {
        let size = aio_regular_file_size(rawValue)
        if size < 0 { throw Errno(rawValue: CInt(-size)) }
        return size
    }

    /// Reads at an offset; 0 bytes at the end of the file. pread(2).
    package func readBytes(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        let count = aio_read_at(rawValue, base, buffer.count, offset)
        if count < 0 { throw Errno(rawValue: CInt(-count)) }
        return count
    }

    /// Sets the position of the file. lseek(2).
    package func setPosition(_ offset: Int64) throws(Errno) {
        _ = try valueOrErrno(aio_set_position(rawValue, offset))
    }
}
