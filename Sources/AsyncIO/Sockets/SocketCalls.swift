import AsyncIOSystem
import SystemPackage

/// The system calls of raw socket operations, one by one.
enum SocketCall: Hashable, CaseIterable {
    case receive, receiveFrom, send, sendTo, connect, accept
}

/// What a test lets happen instead of a call, or to it.
enum SocketFault {
    case fails(Errno)
    case wouldBlock
    /// The call is made with no more than so many bytes.
    case atMost(Int)
}

extension EventLoop {
    final func receiveNow(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        switch fault(.receive) {
        case nil: socket.receive(into: buffer)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        case .atMost(let count): socket.receive(into: .init(rebasing: buffer[..<min(count, buffer.count)]))
        }
    }

    final func receiveFromNow(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) -> (result: IOResult, peer: SocketAddress?) {
        switch fault(.receiveFrom) {
        case nil, .atMost: socket.receiveFrom(into: buffer)
        case .fails(let error): (.failed(error), nil)
        case .wouldBlock: (.wouldBlock, nil)
        }
    }

    final func sendNow(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        switch fault(.send) {
        case nil: socket.send(bytes)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        case .atMost(let count): socket.send(.init(rebasing: bytes[..<min(count, bytes.count)]))
        }
    }

    final func sendToNow(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress) -> IOResult {
        switch fault(.sendTo) {
        case nil, .atMost: socket.sendTo(bytes, to: address)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        }
    }

    /// Whether the connection is there already; otherwise it is under way.
    final func connectNow(_ socket: Socket, _ address: SocketAddress) throws(Errno) -> Bool {
        switch fault(.connect) {
        case nil, .atMost: return try socket.connect(to: address)
        case .fails(let error): throw error
        case .wouldBlock:
            _ = try socket.connect(to: address)
            return false
        }
    }

    final func acceptNow(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        switch fault(.accept) {
        case nil, .atMost: return try socket.accept()
        case .fails(let error): throw error
        case .wouldBlock: return nil
        }
    }

    @inline(__always)
    private final func fault(_ call: SocketCall) -> SocketFault? {
        guard let faults = core.pointee.socketFaults else { return nil }
        return faults(call)
    }
}
