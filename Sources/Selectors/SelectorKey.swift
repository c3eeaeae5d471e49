public import SystemPackage

/// One registration of a selector. Python: `SelectorKey`.
@frozen
public struct SelectorKey: Sendable, Hashable {
    public var descriptor: FileDescriptor
    /// What is watched. Python: `events`.
    public var interest: Interest
    public var trigger: Trigger
    /// What the events of this registration carry. Python: `data`.
    public var token: UInt64

    @inlinable
    public init(descriptor: FileDescriptor, interest: Interest, trigger: Trigger = .level, token: UInt64) {
        self.descriptor = descriptor
        self.interest = interest
        self.trigger = trigger
        self.token = token
    }
}

/// A selector that can say what is registered with it, as all of this module can.
///
/// The loop does not need it, so a selector of your own may do without.
public protocol KeyedSelector: BaseSelector {
    /// What is registered now. Python: `get_map`.
    var keys: SelectorKeys { get }
}

extension KeyedSelector {
    /// What `descriptor` is registered as; `nil` if it is not. Python: `get_key`.
    public func key(of descriptor: FileDescriptor) -> SelectorKey? { keys[descriptor] }
}
