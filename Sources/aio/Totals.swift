/// What a service has done so far.
///
/// - Thread: the loop's.
final class Totals {
    enum Unit {
        case connections, datagrams
    }

    /// Bytes that were forwarded or echoed, over all connections and directions.
    var bytes = 0
    var datagrams = 0
    private(set) var connections = 0
    private(set) var open = 0
    private(set) var mostOpen = 0
    private let unit: Unit

    init(counting unit: Unit) {
        self.unit = unit
    }

    func connectionBegan() {
        connections += 1
        open += 1
        mostOpen = max(mostOpen, open)
    }

    func connectionEnded() {
        open -= 1
    }

    /// What happened since an earlier number of bytes, such as `3 connections open, 12.5 MiB/s, 1.5 GiB in all`.
    func rate(since earlierBytes: Int) -> String {
        let rate = "\(byteCount(bytes - earlierBytes))/s, \(byteCount(bytes)) in all"
        return switch unit {
        case .connections: "\(count(open, "connection")) open, \(rate)"
        case .datagrams: "\(count(datagrams, "datagram")), \(rate)"
        }
    }

    /// Such as `3 connections, 1.5 MiB, at most 2 open at once`, or `3 datagrams, 192 bytes`.
    var summary: String {
        switch unit {
        case .connections:
            "\(count(connections, "connection")), \(byteCount(bytes)), at most \(mostOpen) open at once"
        case .datagrams: "\(count(datagrams, "datagram")), \(byteCount(bytes))"
        }
    }
}

private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

/// Returns a number of bytes for humans: `1 byte`, `999 bytes`, `1.5 MiB`, `256 MiB`.
func byteCount(_ count: Int) -> String {
    if count < 1024 { return count == 1 ? "1 byte" : "\(count) bytes" }
    // Tenths of the unit, rounded. A value that rounds to 1024 is printed in the next unit.
    var tenths = Double(count)
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        tenths /= 1024
        let rounded = Int((tenths * 10).rounded())
        guard rounded < 10_240 || unit == "EiB" else { continue }
        return rounded % 10 == 0 ? "\(rounded / 10) \(unit)" : "\(rounded / 10).\(rounded % 10) \(unit)"
    }
    return "\(count) bytes"
}
