import AsyncIOSystem
public import SystemPackage

/// What is known of an error that nobody caught. asyncio: the `context` of `call_exception_handler`.
///
/// Everything but the message may be missing.
public struct ExceptionContext {
    /// What was going on, in words.
    public var message: String
    /// asyncio: `exception`.
    public var error: (any Error)?
    /// Where the callback was scheduled, or the watcher or handler of a signal set. asyncio: the source of `handle`.
    public var callSite: CallSite?
    /// Where the object was made that it is about: a task, a future, a connection, a server. asyncio:
    /// `source_traceback`.
    public var origin: CallSite?
    /// The name of the task.
    public var task: String?
    /// The future's type, such as `Future<Int>`: it is gone itself.
    public var future: String?
    public var `protocol`: AnyObject?
    /// A `StreamTransport`, which belongs to a higher folder and sets this.
    var transportObject: AnyObject?
    /// The address of the connection's peer.
    var peer: SocketAddress?
    /// A listening socket's descriptor, or one that is watched.
    public var socket: FileDescriptor?
    /// Whether the message names the error, so that the description need not.
    var messageContainsError = false

    public init(
        message: String, error: (any Error)? = nil, callSite: CallSite? = nil, origin: CallSite? = nil,
        task: String? = nil, future: String? = nil, protocol: AnyObject? = nil,
        socket: FileDescriptor? = nil
    ) {
        self.message = message
        self.error = error
        self.callSite = callSite
        self.origin = origin
        self.task = task
        self.future = future
        self.protocol = `protocol`
        self.socket = socket
    }
}

extension ExceptionContext: CustomStringConvertible {
    public var description: String {
        var text = message
        if let task { text += " (task '\(task)')" }
        if let future { text += " (future: \(future))" }
        // An I/O error names its address itself.
        if let peer, !(error is IOError) { text += " (connection with \(peer))" }
        if let socket { text += " (descriptor \(socket.rawValue))" }
        if let error, !messageContainsError { text += ": \(error)" }
        if let callSite { text += " (scheduled at \(callSite))" }
        if let origin { text += " (created at \(origin))" }
        return text
    }
}
