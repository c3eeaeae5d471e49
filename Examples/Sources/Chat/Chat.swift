import AsyncIO

/// A chat server: the first line that a client sends is its name; the server sends the other lines to all clients.
///
/// Use `nc 127.0.0.1 8888` as a client.
@main struct Chat: EventLoopMain {
    static func main(on loop: EventLoop) async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap(UInt16.init) ?? 8888
        let room = Room()
        let server = try await loop.createServer(host: "127.0.0.1", port: port) { Guest(in: room) }
        let signals = try loop.signals([.interrupt, .terminate])
        print("listening on \(server.localAddresses[0])")

        for await _ in signals { break }
        room.send("* the server is going down")
        server.closeClients()
        try await server.shutDown(within: .seconds(5))
    }
}

/// The clients that are connected. Only the loop's thread uses it, so it needs no lock and no actor.
final class Room {
    private var guests: [Guest] = []

    func enter(_ guest: Guest) {
        send("* \(guest.name) is here")
        guests.append(guest)
        guest.send("* \(guests.count) in the room")
    }

    func leave(_ guest: Guest) {
        guests.removeAll { $0 === guest }
        send("* \(guest.name) has left")
    }

    func send(_ line: String, from sender: Guest? = nil) {
        for guest in guests where guest !== sender { guest.send(line) }
    }
}

/// One client.
final class Guest: StreamProtocol {
    /// The most bytes that are buffered for a client that reads too slowly, in addition to the kernel's socket buffer.
    private static let mostUnsentBytes = 256 * 1024
    private static let longestLineBytes = 1024

    private(set) var name = ""
    private let room: Room
    private var transport: StreamTransport?
    /// Received bytes that do not form a whole line yet.
    private var input = ByteQueue()

    init(in room: Room) {
        self.room = room
    }

    func connectionMade(_ transport: StreamTransport) {
        self.transport = transport
        transport.write("your name?\n")
    }

    func dataReceived(_ data: RawSpan) throws {
        do {
            try input.append(data)
            while let line = try input.takeLine(limitBytes: Self.longestLineBytes) { received(line) }
        } catch {
            send("* this line is too long")
            transport?.closeGracefully()
        }
    }

    private func received(_ line: String) {
        if !name.isEmpty { return room.send("\(name): \(line)", from: self) }
        if line.isEmpty { return send("your name?") }
        name = line
        room.enter(self)
    }

    /// Sends a line, or disconnects a client that is too slow.
    ///
    /// A write never waits, so that one slow client does not delay the others. What the client does not read stays in
    /// memory, so there has to be a limit: a client that is further behind is disconnected.
    func send(_ line: String) {
        guard let transport, !transport.isClosing else { return }
        transport.write(line + "\n")
        if transport.writeBufferBytes > Self.mostUnsentBytes {
            print("\(name) is too slow")
            transport.abort()
        }
    }

    func connectionLost(_ error: (any Error)?) {
        transport = nil
        if !name.isEmpty { room.leave(self) }
    }
}
