import AsyncIO
import AsyncIOTesting
import SystemPackage

private let pieceBytes = 32 * 1024

/// A call with a raw socket of a real pair, which moves all bytes in pieces of 32 KiB. No call waits.
private func moves(
    _ name: String, isDatagram: Bool = false, sends: Bool,
    _ body: @escaping @Sendable (SocketScene) async throws -> Int
) -> Call {
    Call(name) { scene in
        let sockets = try SocketScene(scene, isDatagram: isDatagram)
        defer { sockets.close() }
        var count = 0
        while count < scene.size {
            if !sends { scene.require(sockets.far.send(sockets.piece) == .bytes(pieceBytes), "a piece was not sent") }
            scene.begin()
            count += try await body(sockets)
            scene.end()
            if sends { scene.require(sockets.far.receive(into: sockets.memory) == .bytes(pieceBytes), "nothing came") }
        }
        scene.require(count == scene.size, "\(name) moved \(count) bytes")
    }
}

/// Two connected sockets, and memory for one piece.
final class SocketScene {
    let loop: EventLoop
    let near: Socket
    let far: Socket
    let farAddress: SocketAddress
    let bytes: [UInt8]
    let piece: UnsafeRawBufferPointer
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
    var buffer = [UInt8](repeating: 0, count: pieceBytes)

    init(_ scene: Scene, isDatagram: Bool) throws {
        loop = scene.network.loop
        if isDatagram {
            (near, far) = (try .datagram(.ipv4), try .datagram(.ipv4))
            for socket in [near, far] { try socket.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!) }
            guard let nearAddress = near.localAddress, let address = far.localAddress else { throw Errno.badAddress }
            farAddress = address
            _ = try far.connect(to: nearAddress)
        } else {
            (near, far) = try Socket.pair()
            farAddress = SocketAddress(unixPath: "/unused")!
        }
        bytes = Array(scene.bytes.prefix(pieceBytes))
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
        copy.copyBytes(from: bytes)
        piece = UnsafeRawBufferPointer(copy)
    }

    deinit {
        piece.deallocate()
        memory.deallocate()
    }

    func close() {
        near.close()
        far.close()
    }
}

private func count(_ result: IOResult) -> Int {
    if case .bytes(let count) = result { count } else { 0 }
}

let socketCalls = [
    moves("SocketOperations.recv(_: Socket, maxBytes: Int)", sends: false) { scene in
        try await scene.loop.sock.recv(scene.near, maxBytes: 65_536).count
    },
    moves("SocketOperations.recv(_: Socket, into: [UInt8])", sends: false) { scene in
        try await scene.loop.sock.recv(scene.near, into: &scene.buffer)
    },
    moves("SocketOperations.recv(_: Socket, into: UnsafeMutableRawBufferPointer)", sends: false) { scene in
        try await scene.loop.sock.recv(scene.near, into: scene.memory)
    },
    moves("SocketOperations.recv(_: Socket, into: OutputRawSpan)", sends: false) { scene in
        var span = OutputRawSpan(buffer: scene.memory, initializedCount: 0)
        return try await scene.loop.sock.recv(scene.near, into: &span)
    },
    moves("SocketOperations.recvFrom(_: Socket, maxBytes: Int)", isDatagram: true, sends: false) { scene in
        try await scene.loop.sock.recvFrom(scene.near, maxBytes: 65_536).bytes.count
    },
    moves("SocketOperations.recvFrom(_: Socket, into: [UInt8])", isDatagram: true, sends: false) { scene in
        try await scene.loop.sock.recvFrom(scene.near, into: &scene.buffer).count
    },
    moves("SocketOperations.recvFrom(_: Socket, into: UnsafeMutableRawBufferPointer)", isDatagram: true, sends: false) {
        scene in
        try await scene.loop.sock.recvFrom(scene.near, into: scene.memory).count
    },
    moves("SocketOperations.sendAll(_: Socket, _: RawSpan)", sends: true) { scene in
        let bytes = scene.bytes
        try await scene.loop.sock.sendAll(scene.near, bytes.span.bytes)
        return scene.bytes.count
    },
    moves("SocketOperations.sendAll(_: Socket, _: [UInt8])", sends: true) { scene in
        try await scene.loop.sock.sendAll(scene.near, scene.bytes)
        return scene.bytes.count
    },
    moves("SocketOperations.sendAll(_: Socket, _: RawSpan, bytesSent: Int)", sends: true) { scene in
        let bytes = scene.bytes
        var count = 0
        try await scene.loop.sock.sendAll(scene.near, bytes.span.bytes, bytesSent: &count)
        return count
    },
    moves("SocketOperations.sendAll(_: Socket, _: [UInt8], bytesSent: Int)", sends: true) { scene in
        var count = 0
        try await scene.loop.sock.sendAll(scene.near, scene.bytes, bytesSent: &count)
        return count
    },
    moves("SocketOperations.sendTo(_: Socket, _: RawSpan, to: SocketAddress)", isDatagram: true, sends: true) { scene in
        let bytes = scene.bytes
        return try await scene.loop.sock.sendTo(scene.near, bytes.span.bytes, to: scene.farAddress)
    },
    moves("SocketOperations.sendTo(_: Socket, _: [UInt8], to: SocketAddress)", isDatagram: true, sends: true) { scene in
        try await scene.loop.sock.sendTo(scene.near, scene.bytes, to: scene.farAddress)
    },
    moves("Socket.receive(into: UnsafeMutableRawBufferPointer)", sends: false) { scene in
        count(scene.near.receive(into: scene.memory))
    },
    moves("Socket.receiveFrom(into: UnsafeMutableRawBufferPointer)", isDatagram: true, sends: false) { scene in
        count(scene.near.receiveFrom(into: scene.memory).result)
    },
    moves("Socket.send(_: UnsafeRawBufferPointer)", sends: true) { scene in count(scene.near.send(scene.piece)) },
    moves("Socket.sendTo(_: UnsafeRawBufferPointer, to: SocketAddress)", isDatagram: true, sends: true) { scene in
        count(scene.near.sendTo(scene.piece, to: scene.farAddress))
    },
]
