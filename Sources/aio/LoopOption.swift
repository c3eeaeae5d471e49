import ArgumentParser
import AsyncIO

/// `--loop NAME`.
struct LoopOption: ParsableArguments {
    @Option(
        name: .customLong("loop"),
        help: ArgumentHelp("The loop's back end: \(names).", valueName: "name"))
    var name = LoopKind.auto.rawValue

    /// The names that this system has. The other names are parsed too, so that their error says why they are
    /// unavailable.
    private static var names: String {
        LoopKind.allCases.filter { $0 == .auto || LoopKind.available.contains($0) }
            .map(\.rawValue).joined(separator: ", ")
    }

    var kind: LoopKind {
        get throws {
            guard let kind = LoopKind(rawValue: name) else {
                throw ValidationError("unknown loop '\(name)'; use one of \(Self.names)")
            }
            return kind
        }
    }

    func validate() throws {
        _ = try kind
    }
}
