package import AsyncIOSystem
package import CAsyncIO

/// What a test plays instead of the kernel.
package protocol StreamCalls: AnyObject {
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult
    func send(_ bytes: UnsafeRawBufferPointer) -> IOResult
    func send(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult
}

/// A readiness driver whose receives and sends are a test's. Here, because other modules cannot derive from its base.
package final class ScriptedStreamDriver: ReadinessStreamDriver {
    private let calls: any StreamCalls

    package init(loop: SelectorEventLoop, socket: Socket, calls: any StreamCalls) {
        self.calls = calls
        super.init(loop: loop, socket: socket)
    }

    package override func systemReceive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        calls.receive(into: buffer)
    }

    package override func systemSend(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        calls.send(bytes)
    }

    package override func systemSend(_ pieces: UnsafeBufferPointer<iovec>) -> IOResult {
        calls.send(pieces)
    }
}
