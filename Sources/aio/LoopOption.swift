import ArgumentParser
import AsyncIO

/// `--loop NAME`.
struct LoopOption: ParsableArguments {
    @Option(
        name: .customLong("loop"),
        help: ArgumentHelp(
            "The loop's back end: \(LoopKind.names()). 'auto' is what ASYNCIO_LOOP names, otherwise the best one.",
            valueName: "name"))
    var name = LoopKind.auto.rawValue

    var kind: LoopKind {
        get throws {
            // The names of other systems are parsed too, so that their error says why they are unavailable.
            guard let kind = LoopKind(rawValue: name) else {
                throw ValidationError("unknown loop '\(name)'; use one of \(LoopKind.names())")
            }
            return kind
        }
    }

    func validate() throws {
        _ = try kind
    }
}
