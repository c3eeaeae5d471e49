import AsyncAlgorithms
import AsyncIO
import NIOCore
import NIOPosix

// Both libraries have an EventLoop. In a file that imports both, the module's name disambiguates.
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let nioLoop: any NIOCore.EventLoop = group.next()

let sum = try run {
    let loop: AsyncIO.EventLoop = try getRunningLoop()
    let future = nioLoop.submit { 20 }
    let channel = AsyncChannel<Int>()
    loop.createBackgroundTask {
        await channel.send(22)
        channel.finish()
    }
    var sum = try await future.get()
    for await value in channel { sum += value }
    precondition(loop.isOnLoop, "a task comes back to its loop after waiting for another library")
    return sum
}
precondition(sum == 42)

// The byte queue is not NIO's ByteBuffer, and each is converted to an array by its own initializer.
var queue = ByteQueue()
try queue.append(Array(buffer: ByteBuffer(string: "one\ntwo")))
let line = try queue.takeLine()
precondition(line == "one")
precondition(queue.withBytes { [UInt8]($0) } == Array("two".utf8))
try group.syncShutdownGracefully()
print("ok: beside NIO")
