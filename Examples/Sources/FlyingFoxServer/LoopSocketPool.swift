import AsyncIO
import FlyingFox
import FlyingSocks

/// Lets FlyingFox, a web server that is independent of this library, wait for its sockets on an event loop.
///
/// FlyingFox calls the kernel itself, and asks its pool to wait when a call would block. Its default pool uses a thread
/// for that.
struct LoopSocketPool: AsyncSocketPool {
    let loop: EventLoop

    func prepare() async throws {}

    /// The loop is running already.
    func run() async throws {
        try await loop.sleep(for: .seconds(1_000_000_000))
    }

    func suspendSocket(_ socket: FlyingSocks.Socket, untilReadyFor events: FlyingSocks.Socket.Events) async throws {
        let descriptor = FileDescriptor(rawValue: socket.file.rawValue)
        if events.contains(.write) {
            try await loop.waitWritable(descriptor)
        } else {
            try await loop.waitReadable(descriptor)
        }
    }
}
