/// A warning of a loop: a problem that is not an error. asyncio logs such problems as warnings.
public struct LoopWarning: Sendable, CustomStringConvertible {
    /// The kind of a warning. More kinds may be added.
    public struct Kind: Sendable, Hashable {
        fileprivate let name: String

        /// A callback, or a step of a task, blocked the loop for too long; see ``DebugOptions/slowCallbackDuration``.
        public static let slowCallback = Kind(name: "slow callback")
        /// An operation was called outside its loop, which costs two thread switches. Reported once per operation and
        /// loop.
        public static let hop = Kind(name: "hop")
        /// A loop, or an object of a loop, was released without being closed. asyncio: `ResourceWarning`.
        public static let unclosed = Kind(name: "unclosed")
        /// A descriptor was closed while the loop watched it. A duplicate of it may still be open, so the loop had to
        /// register all others again. Also reported without debug mode.
        public static let closedDescriptor = Kind(name: "closed descriptor")
        /// Resolving a host name took long.
        public static let slowLookup = Kind(name: "slow lookup")
    }

    /// The kind of the warning.
    public var kind: Kind
    /// The warning in words.
    public var message: String
    /// Where the callback was scheduled, or the object was created.
    public var callSite: CallSite?
    /// How long the callback or the lookup took.
    public var duration: Duration?

    /// Creates a warning, for tests of a handler.
    init(_ kind: Kind, _ message: String, callSite: CallSite? = nil, duration: Duration? = nil) {
        self.kind = kind
        self.message = message
        self.callSite = callSite
        self.duration = duration
    }

    public var description: String {
        guard let callSite else { return message }
        return "\(message) (\(kind == .unclosed ? "created" : "scheduled") at \(callSite))"
    }
}

extension LoopWarning.Kind: CustomStringConvertible {
    /// The kind in words, such as `slow callback`.
    public var description: String { name }
}
