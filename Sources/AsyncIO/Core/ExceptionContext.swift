import AsyncIOSystem
public import SystemPackage

/// The description of an uncaught error. Everything except the message may be missing. asyncio: the `context` of
/// `call_exception_handler`.
public struct ExceptionContext: CustomStringConvertible {
    /// What failed, in words.
    public var message: String
    /// The error. asyncio: `exception`.
    public var error: (any Error)?
    /// Where the callback was scheduled, or the watcher or signal handler was set. asyncio: the source of `handle`.
    public var callSite: CallSite?
    /// Where the object concerned was created: a task, a future, a connection, a server. asyncio: `source_traceback`.
    public var origin: CallSite?
    /// The name of the task.
    public var task: String?
    /// The type of the future, such as `Future<Int>`. The future itself no longer exists.
    public var future: String?
    /// The protocol of the connection.
    public var `protocol`: AnyObject?
    /// The `StreamTransport` of the connection, a type of a higher folder.
    var transportObject: AnyObject?
    var peer: SocketAddress?
    /// The descriptor of a listening socket, or one that is watched.
    public var socket: FileDescriptor?
    /// So that the description does not repeat it.
    var messageContainsError = false

    /// Creates a context, for ``EventLoop/callExceptionHandler(_:)``.
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

    public var description: String {
        var text = message
        if let task { text += " (task '\(task)')" }
        if let future { text += " (future: \(future))" }
        // An I/O error already names its address.
        if let peer, !(error is IOError) { text += " (connection with \(peer))" }
        if let socket { text += " (descriptor \(socket.rawValue))" }
        if let error, !messageContainsError { text += ": \(error)" }
        if let callSite { text += " (scheduled at \(callSite))" }
        if let origin { text += " (created at \(origin))" }
        return text
    }
}
