public import SystemPackage

/// One registration of a selector. Python: `SelectorKey`.
public struct SelectorKey: Sendable, Hashable {
    /// The registered descriptor. Python: `fd`.
    public var descriptor: FileDescriptor
    /// The directions for which it is watched. Python: `events`.
    public var interest: Interest
    /// How often it is reported.
    public var trigger: Trigger
    /// The number that identifies this registration in its events. Python: `data`.
    public var token: UInt64

    @inlinable
    public init(descriptor: FileDescriptor, interest: Interest, trigger: Trigger = .level, token: UInt64) {
        self.descriptor = descriptor
        self.interest = interest
        self.trigger = trigger
        self.token = token
    }
}

/// A selector that shows its registrations. All selectors of this module do.
///
/// The loop does not need this, so your own selector can conform to ``BaseSelector`` alone.
public protocol KeyedSelector: BaseSelector {
    /// The current registrations. Python: `get_map`.
    var keys: SelectorKeys { get }
}

extension KeyedSelector {
    /// Returns the registration of `descriptor`, or `nil` if it is not registered. Python: `get_key`.
    public func key(of descriptor: FileDescriptor) -> SelectorKey? { keys[descriptor] }
}
