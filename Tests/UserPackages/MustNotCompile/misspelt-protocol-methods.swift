import AsyncIO

// Methods that would never be called. Their requirements have no default implementations, so the conformance is
// rejected.
final class AsyncMethod: StreamProtocol { // error: type 'AsyncMethod' does not conform to protocol 'StreamProtocol'
    func connectionMade(_ transport: StreamTransport) async {}
    func dataReceived(_ data: RawSpan) {}
    func connectionLost(_ error: (any Error)?) {}
}

final class RequiredError: StreamProtocol { // error: type 'RequiredError' does not conform to protocol 'StreamProtocol'
    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: RawSpan) {}
    func connectionLost(_ error: any Error) {}
}

final class ArrayOfBytes: StreamProtocol { // error: type 'ArrayOfBytes' does not conform to protocol 'StreamProtocol'
    func connectionMade(_ transport: StreamTransport) {}
    func dataReceived(_ data: [UInt8]) {}
    func connectionLost(_ error: (any Error)?) {}
}

final class NoLoss: BufferedStreamProtocol { // error: type 'NoLoss' does not conform to protocol 'StreamProtocol'
    func connectionMade(_ transport: StreamTransport) {}
    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) {}
    func bufferUpdated(byteCount: Int) {}
    func connectionLost() {}
}

final class NoLabel: BufferedStreamProtocol {
    func connectionMade(_ transport: StreamTransport) {}
    func withReadBuffer(sizeHintBytes: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Void) {}
    func bufferUpdated(_ byteCount: Int) {} // error: has different argument labels from those required by protocol
    func connectionLost(_ error: (any Error)?) {}
}
