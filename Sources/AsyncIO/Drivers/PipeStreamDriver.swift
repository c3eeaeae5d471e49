package import AsyncIOSystem
import CAsyncIO
import Selectors
package import SystemPackage

/// Moves bytes in one direction, on a pipe or another file, or a socket that is used like a pipe.
///
/// On every loop it waits for readiness, as a level: a short read does not mean that a terminal has no further line, or
/// a pipe no further packet.
package final class PipeStreamDriver: ReadinessStreamDriver {
    private let direction: Interest
    /// A regular file, or a device such as `/dev/null`, which cannot be watched.
    private var isAlwaysReady = false

    /// Creates the driver and registers the descriptor. Throws with the descriptor closed.
    ///
    /// An output is watched for reading, which reports that its reader has left. Not the output of a device: typing on
    /// a terminal would wake the loop.
    package init(
        _ channel: ByteChannel, on loop: EventLoop, for direction: Interest, isDevice: Bool
    ) throws(Errno) {
        self.direction = direction
        try super.init(channel, on: loop, for: direction == .write && isDevice ? [] : .read, trigger: .level)
    }

    override func watch(for interest: Interest) throws(Errno) {
        do {
            if interest.isEmpty { return loop.claim(channel.descriptor, for: self) }
            try super.watch(for: interest)
        } catch .notPermitted where !channel.isSocket {
            isAlwaysReady = true
            known = ReadinessState()
            loop.claim(channel.descriptor, for: self)
        }
    }

    override func setInterest(_ wanted: Interest) {
        if !isAlwaysReady { return super.setInterest(wanted) }
        if wanted.isEmpty || phase != .open { return }
        readiness.formUnion(Readiness(wanted))
        loop.queue(self)
    }

    package override func run() -> UnownedJob? {
        if direction == .write, readiness.remove(.read) != nil {
            if aio_has_hung_up(channel.descriptor.rawValue) {
                delegate?.readerLeft()
                return nil
            }
            // It has bytes to read: a FIFO that is open for both directions, or a socket.
            setInterest(known.interest.subtracting(.read))
        }
        return super.run()
    }
}
