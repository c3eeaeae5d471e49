/// Checks for events whenever the loop has been woken, because signals can do nothing but wake the loop.
class WakeUpObserver {
    /// Describes the observer in reports.
    var label: String { "\(type(of: self))" }

    /// The call that created it.
    var origin: CallSite? { nil }

    /// Called after the loop has been woken, possibly by one of the observer's events.
    func check() {}
}
