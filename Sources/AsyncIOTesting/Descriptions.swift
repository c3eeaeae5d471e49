import AsyncIO

// The descriptions of the public types; see the file of this name in `AsyncIOSystem`.

extension ScriptedSelector: CustomStringConvertible {
    /// Such as `<ScriptedSelector 3 registrations, 10 waits>`.
    public var description: String { "<ScriptedSelector \(registrations.count) registrations, \(waits.count) waits>" }
}

extension ScriptedProactor: CustomStringConvertible {
    /// Such as `<ScriptedProactor 3 operations, 10 waits>`.
    public var description: String { "<ScriptedProactor \(operations.count) operations, \(waits.count) waits>" }
}

extension ScriptedNetwork: CustomStringConvertible {
    /// Such as `<ScriptedNetwork <SelectorEventLoop scripted, running>>`.
    public var description: String { "<ScriptedNetwork \(loop)>" }
}

extension ScriptedPeer: CustomStringConvertible {
    /// Such as `<ScriptedPeer of fd=7, open, took 5 bytes>`.
    public var description: String {
        "<ScriptedPeer of fd=\(descriptor.rawValue), \(wasClosed ? "closed" : "open"), took \(written.count) bytes>"
    }
}

extension VirtualTimeSelector: CustomStringConvertible {
    /// Such as `<VirtualTimeSelector 10 waits>`.
    public var description: String { "<VirtualTimeSelector \(clock.waits.count) waits>" }
}

extension VirtualTimeProactor: CustomStringConvertible {
    /// Such as `<VirtualTimeProactor 10 waits>`.
    public var description: String { "<VirtualTimeProactor \(clock.waits.count) waits>" }
}
