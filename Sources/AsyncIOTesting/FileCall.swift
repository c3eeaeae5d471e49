import AsyncIOSystem
import CAsyncIO
import Proactors
import SystemPackage

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The system call of an operation on a message, a file, a pipe or a child. No test replaces these calls.
struct FileCall {
    let operation: ProactorOperation

    private var descriptor: CInt { operation.descriptor }
    private var memory: UnsafeMutableRawBufferPointer { operation.memory }

    /// Makes the call, unless it would block.
    func make() -> IOResult {
        switch operation.kind {
        case .receiveMessage: return IOResult(cResult: aio_receive_message(descriptor, memory.baseAddress!))
        case .sendMessage: return IOResult(cResult: aio_send_message(descriptor, memory.baseAddress!))
        case .read: return wouldBlock(POLLIN) ? .wouldBlock : readBytes()
        case .write: return wouldBlock(POLLOUT) ? .wouldBlock : writeBytes()
        case .fsync: return result(Int(operation.isDataOnly ? fdatasync(descriptor) : fsync(descriptor)))
        case .open: return openFile()
        case .stat: return readStatus()
        case .close: return IOResult(cResult: Int(aio_close(descriptor)))
        case .splice: return spliceBytes()
        case .waitForChild: return reapChild()
        default: return .failed(.notSupported)
        }
    }

    /// What has to happen before a call that would block is made again.
    var awaited: (descriptor: CInt, interest: Interest) {
        switch operation.kind {
        case .connect, .send, .sendMessage, .write: (descriptor, .write)
        case .poll: (descriptor, operation.interest)
        case .splice where !wouldBlock(POLLIN): (operation.target?.descriptor ?? descriptor, .write)
        default: (descriptor, .read)
        }
    }

    private func structure<Structure>() -> UnsafeMutablePointer<Structure> {
        memory.baseAddress!.assumingMemoryBound(to: Structure.self)
    }

    private func result(_ value: Int) -> IOResult { IOResult(cResult: value < 0 ? -Int(errno) : value) }

    /// Whether a call would wait on a descriptor that other code has made blocking.
    private func wouldBlock(_ event: CInt) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        return poll(&entry, 1, 0) == 0
    }

    private func readBytes() -> IOResult {
        guard let offset = operation.offset else { return result(read(descriptor, memory.baseAddress, memory.count)) }
        return result(pread(descriptor, memory.baseAddress, memory.count, off_t(offset)))
    }

    private func writeBytes() -> IOResult {
        // A blocking pipe that polls as writable accepts this much without waiting.
        let count = aio_is_non_blocking(descriptor) == 1 ? memory.count : min(memory.count, 4_096)
        guard let offset = operation.offset else { return result(write(descriptor, memory.baseAddress, count)) }
        return result(pwrite(descriptor, memory.baseAddress, count, off_t(offset)))
    }

    private func openFile() -> IOResult {
        guard let path = operation.path, let (mode, options, permissions) = operation.opening else {
            return .failed(.invalidArgument)
        }
        do {
            let file = try FileDescriptor.open(
                path, mode, options: options.union(.closeOnExec), permissions: permissions)
            return .bytes(Int(file.rawValue))
        } catch {
            return .failed(error as? Errno ?? .invalidArgument)
        }
    }

    private func readStatus() -> IOResult {
        guard let path = operation.path else { return .failed(.invalidArgument) }
        return path.withPlatformString { result(Int(stat($0, structure()))) }
    }

    private func spliceBytes() -> IOResult {
        guard let target = operation.target else { return .failed(.invalidArgument) }
        let (from, to) = (operation.offset ?? -1, target.offset ?? -1)
        return IOResult(cResult: aio_splice(descriptor, from, target.descriptor, to, target.byteCount))
    }

    private func reapChild() -> IOResult {
        #if os(Linux)
        let status: UnsafeMutablePointer<siginfo_t> = structure()
        // It stays 0 while the child runs.
        status.pointee.si_signo = 0
        let value = waitid(P_PIDFD, id_t(descriptor), status, WEXITED | WNOHANG)
        return value == 0 && status.pointee.si_signo == 0 ? .wouldBlock : result(Int(value))
        #else
        return .failed(.notSupported)
        #endif
    }
}
