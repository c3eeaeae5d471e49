import AsyncIO
import AsyncIOSystem
import CAsyncIO
import SystemPackage

/// The system calls that a test can let fail.
enum SocketCall: Hashable {
    case receive, receiveFrom, send, sendTo, sendFile, connect, accept, shutdownWrite, localAddress
    case sendDescriptors, receiveDescriptors

    /// The calls that `loop.sock` makes.
    static let ofOperations: [SocketCall] = [.receive, .receiveFrom, .send, .sendTo, .sendFile, .connect, .accept]
}

/// What happens instead of a call, or to it.
enum SocketFault {
    case fails(Errno)
    case wouldBlock
    /// The call is made with no more than so many bytes.
    case atMost(Int)
}

typealias AcceptedClient = (socket: Socket, peer: SocketAddress?)

/// The system's calls, with the faults of a test.
final class FaultyCalls: SystemCalls {
    private let fault: (SocketCall) -> SocketFault?
    private let acceptConnection: ((() throws(Errno) -> AcceptedClient?) throws(Errno) -> AcceptedClient?)?

    init(_ fault: @escaping (SocketCall) -> SocketFault?) {
        self.fault = fault
        acceptConnection = nil
    }

    init(accept: @escaping (() throws(Errno) -> AcceptedClient?) throws(Errno) -> AcceptedClient?) {
        fault = { _ in nil }
        acceptConnection = accept
    }

    func receive(_ socket: Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        switch fault(.receive) {
        case nil: socket.receive(into: buffer)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        case .atMost(let count): socket.receive(into: .init(rebasing: buffer[..<min(count, buffer.count)]))
        }
    }

    func receiveFrom(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer
    ) -> (result: IOResult, peer: SocketAddress?) {
        switch fault(.receiveFrom) {
        case nil, .atMost: socket.receiveFrom(into: buffer)
        case .fails(let error): (.failed(error), nil)
        case .wouldBlock: (.wouldBlock, nil)
        }
    }

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        switch fault(.send) {
        case nil: socket.send(bytes)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        case .atMost(let count): socket.send(.init(rebasing: bytes[..<min(count, bytes.count)]))
        }
    }

    func sendTo(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, _ address: SocketAddress) -> IOResult {
        switch fault(.sendTo) {
        case nil, .atMost: socket.sendTo(bytes, to: address)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        }
    }

    func send(_ socket: Socket, _ bytes: UnsafeRawBufferPointer, with descriptors: [FileDescriptor]) -> IOResult {
        switch fault(.sendDescriptors) {
        case nil: socket.send(bytes, with: descriptors)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        case .atMost(let count):
            socket.send(.init(rebasing: bytes[..<min(count, bytes.count)]), with: descriptors)
        }
    }

    func receive(
        _ socket: Socket, into buffer: UnsafeMutableRawBufferPointer, maxDescriptors: Int
    ) -> ReceivedDescriptors {
        switch fault(.receiveDescriptors) {
        case nil: socket.receive(into: buffer, maxDescriptors: maxDescriptors)
        case .fails(let error): ReceivedDescriptors(.failed(error))
        case .wouldBlock: ReceivedDescriptors(.wouldBlock)
        case .atMost(let count):
            socket.receive(
                into: .init(rebasing: buffer[..<min(count, buffer.count)]), maxDescriptors: maxDescriptors)
        }
    }

    func sendFile(_ socket: Socket, _ file: FileDescriptor, offset: Int64, byteCount: Int) -> IOResult {
        switch fault(.sendFile) {
        case nil: socket.sendFile(file, offset: offset, byteCount: byteCount)
        case .fails(let error): .failed(error)
        case .wouldBlock: .wouldBlock
        case .atMost(let count): socket.sendFile(file, offset: offset, byteCount: min(count, byteCount))
        }
    }

    func connect(_ socket: Socket, to address: SocketAddress) throws(Errno) -> Bool {
        switch fault(.connect) {
        case nil, .atMost: return try socket.connect(to: address)
        case .fails(let error): throw error
        case .wouldBlock:
            _ = try socket.connect(to: address)
            return false
        }
    }

    func accept(_ socket: Socket) throws(Errno) -> (socket: Socket, peer: SocketAddress?)? {
        if let acceptConnection { return try acceptConnection { () throws(Errno) in try socket.accept() } }
        switch fault(.accept) {
        case nil, .atMost: return try socket.accept()
        case .fails(let error): throw error
        case .wouldBlock: return nil
        }
    }

    func shutdownWrite(_ socket: Socket) throws(Errno) {
        if case .fails(let error) = fault(.shutdownWrite) { throw error }
        try socket.shutdownWrite()
    }

    func localAddress(_ socket: Socket) throws(Errno) -> SocketAddress? {
        if case .fails(let error) = fault(.localAddress) { throw error }
        return try socket.findLocalAddress()
    }
}

extension EventLoop {
    /// Lets calls of sockets fail as `fault` says, from now on.
    func injectFaults(_ fault: @escaping (SocketCall) -> SocketFault?) {
        replaceSystemCalls(by: FaultyCalls(fault))
    }

    /// Lets the next call of a kind fail, and no other.
    func injectFault(_ fault: SocketFault, intoFirst call: SocketCall) {
        var isInjected = false
        injectFaults {
            if isInjected || $0 != call { return nil }
            isInjected = true
            return fault
        }
    }

    /// Calls `accept` instead of accept(2), with the real call.
    func replaceAccept(_ accept: @escaping (() throws(Errno) -> AcceptedClient?) throws(Errno) -> AcceptedClient?) {
        replaceSystemCalls(by: FaultyCalls(accept: accept))
    }
}
