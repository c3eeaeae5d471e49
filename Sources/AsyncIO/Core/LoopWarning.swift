/// Something that a loop in debug mode has noticed and that is no error. asyncio logs such things as warnings.
public struct LoopWarning: Sendable {
    /// What was noticed. More kinds may come.
    public struct Kind: Sendable, Hashable {
        fileprivate let name: String

        /// A callback, or a step of a task, kept the loop from everything else: see ``DebugOptions/slowCallbackDuration``.
        public static let slowCallback = Kind(name: "slow callback")
        /// An operation was begun off its loop, which costs two changes of thread. Told once per operation and loop.
        public static let hop = Kind(name: "hop")
        /// A loop, or something of a loop, was dropped without being closed. asyncio: `ResourceWarning`.
        public static let unclosed = Kind(name: "unclosed")
        /// A descriptor was closed while it was watched, and a duplicate of it is open elsewhere. Reported without debug mode
        /// too, since the loop then had to register all descriptors anew.
        public static let closedDescriptor = Kind(name: "closed descriptor")
        /// A host name took long to resolve.
        public static let slowLookup = Kind(name: "slow lookup")
    }

    public var kind: Kind
    public var message: String
    /// Where the callback was scheduled, or the object made.
    public var callSite: CallSite?
    /// How long it took.
    public var duration: Duration?

    public init(_ kind: Kind, _ message: String, callSite: CallSite? = nil, duration: Duration? = nil) {
        self.kind = kind
        self.message = message
        self.callSite = callSite
        self.duration = duration
    }
}

extension LoopWarning.Kind: CustomStringConvertible {
    /// In words, such as `slow callback`.
    public var description: String { name }
}

extension LoopWarning: CustomStringConvertible {
    public var description: String {
        guard let callSite else { return message }
        return "\(message) (\(kind == .unclosed ? "made" : "scheduled") at \(callSite))"
    }
}
