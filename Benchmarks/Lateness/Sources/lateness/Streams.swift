import AsyncIO
import Foundation

/// 800 connections, each with a task that writes without a pause; another thread discards what arrives.
final class Streams {
    private static let count = 800
    private static let pieceBytes = 256 * 1024
    private static let seconds = 2.0
    /// The lowest descriptor of a peer, because a select loop needs the low ones.
    private static let lowestPeer: CInt = 1_100

    private let loop: EventLoop
    private let piece = [UInt8](repeating: 1, count: pieceBytes)

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func begin(_ measurement: Measurement) throws {
        allowDescriptors(Self.count + Int(Self.lowestPeer) + 32)
        let listener = try Socket.stream(.ipv4)
        try listener.bind(to: SocketAddress(literal: "127.0.0.1", port: 0)!)
        try listener.listen(backlog: 16)
        var peers: [CInt] = []
        for _ in 0..<Self.count {
            let connection = try Socket.stream(.ipv4)
            _ = try connection.connect(to: listener.localAddress!)
            peers.append(try acceptPeer(listener))
            write(to: connection, measurement)
        }
        let (sendSignal, descriptors) = (measurement.sendSignal, peers)
        Thread.detachNewThread { discard(descriptors, after: Self.seconds / 2, sendSignal) }
        loop.callLater(after: .seconds(Self.seconds)) { measurement.end() }
    }

    private func acceptPeer(_ listener: Socket) throws -> CInt {
        while true {
            guard let (peer, _) = try listener.accept() else { continue }
            defer { peer.close() }
            let descriptor = fcntl(peer.number, F_DUPFD_CLOEXEC, Self.lowestPeer)
            if descriptor < 0 { fail("no descriptor is left for a peer") }
            return descriptor
        }
    }

    private func write(to socket: Socket, _ measurement: Measurement) {
        _ = loop.createTask { [loop, piece] in
            let (_, writer) = try await loop.openConnection(to: .socket(socket))
            while true {
                try await writer.write(piece)
                measurement.count(piece.count)
            }
        }
    }
}

/// Receives forever, and calls `sendSignal` once. It uses this thread, because there may be no CPU for a third one.
private func discard(_ peers: [CInt], after seconds: Double, _ sendSignal: () -> Void) {
    var entries = peers.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let deadline = Date.now.addingTimeInterval(seconds)
    var hasSent = false
    while poll(&entries, nfds_t(entries.count), 100) >= 0 {
        if !hasSent, Date.now >= deadline {
            hasSent = true
            sendSignal()
        }
        for entry in entries where entry.revents != 0 {
            // TCP discards the bytes without copying them.
            _ = recv(entry.fd, nil, 1 << 20, CInt(MSG_TRUNC) | CInt(MSG_DONTWAIT))
        }
    }
}

private func allowDescriptors(_ wanted: Int) {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, rlim_t(wanted)))
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
