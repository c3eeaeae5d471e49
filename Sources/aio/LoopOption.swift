import ArgumentParser
import AsyncIO

/// `--loop NAME`.
struct LoopOption: ParsableArguments {
    @Option(
        name: .customLong("loop"),
        help: ArgumentHelp("How to wait for the network: \(names).", valueName: "name"))
    var name = LoopKind.auto.rawValue

    /// Those that this system has. The others are known, so their error says more than that the name is wrong.
    private static var names: String {
        LoopKind.allCases.filter { $0 == .auto || LoopKind.available.contains($0) }
            .map(\.rawValue).joined(separator: ", ")
    }

    var kind: LoopKind {
        get throws {
            guard let kind = LoopKind(rawValue: name) else {
                throw ValidationError("unknown loop '\(name)'; choose one of \(Self.names)")
            }
            return kind
        }
    }

    func validate() throws {
        _ = try kind
    }
}
