extension ExceptionContext {
    /// The connection concerned.
    public var transport: StreamTransport? {
        get { transportObject.map { unsafeDowncast($0, to: StreamTransport.self) } }
        set {
            transportObject = newValue
            peer = newValue?.peerAddress
        }
    }

    init(
        message: String, error: (any Error)? = nil, callSite: CallSite? = nil, origin: CallSite? = nil,
        task: String? = nil, protocol: AnyObject? = nil, transport: StreamTransport?
    ) {
        self.init(
            message: message, error: error, callSite: callSite, origin: origin, task: task, protocol: `protocol`)
        self.transport = transport
    }
}
