import SystemPackage

// The text that `print` shows: see the file of the same name in `AsyncIOSystem`.

extension ReadyEvent: CustomStringConvertible {
    /// Such as `[read] for token 7`.
    public var description: String { "\(readiness) for token \(token)" }
}

extension SelectorKey: CustomStringConvertible {
    /// Such as `fd=7 [read], level-triggered, token 3`.
    public var description: String {
        "fd=\(descriptor.rawValue) \(interest), \(trigger)-triggered, token \(token)"
    }
}

extension SelectorKeys: CustomStringConvertible {
    /// Such as `<SelectorKeys 3 registrations>`.
    public var description: String { "<SelectorKeys \(registrations)>" }

    package var registrations: String { "\(count) \(count == 1 ? "registration" : "registrations")" }
}

extension PollSelector: CustomStringConvertible {
    /// Such as `<PollSelector 3 registrations>`.
    public var description: String { "<PollSelector \(keys.registrations)>" }
}

extension SelectSelector: CustomStringConvertible {
    /// Such as `<SelectSelector 3 registrations>`.
    public var description: String { "<SelectSelector \(keys.registrations)>" }
}

#if os(Linux)
extension EpollSelector: CustomStringConvertible {
    /// Such as `<EpollSelector fd=5, 3 registrations>`.
    public var description: String { "<EpollSelector fd=\(descriptor.rawValue), \(keys.registrations)>" }
}
#endif

#if os(macOS) || os(FreeBSD) || os(OpenBSD)
extension KqueueSelector: CustomStringConvertible {
    /// Such as `<KqueueSelector fd=5, 3 registrations>`.
    public var description: String { "<KqueueSelector fd=\(descriptor.rawValue), \(keys.registrations)>" }
}
#endif
