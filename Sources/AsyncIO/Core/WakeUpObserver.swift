/// Looks for events of its own whenever the loop has been woken, because what produces them can only wake the loop:
/// signals.
class WakeUpObserver {
    /// Describes the observer in reports.
    var label: String { "\(type(of: self))" }

    /// The call that created it.
    var origin: CallSite? { nil }

    /// The loop has been woken, perhaps by one of the observer's events.
    func check() {}
}
