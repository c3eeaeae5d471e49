import ArgumentParser
import AsyncIO

struct LoopsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loops",
        abstract: "List the event loops and say which of them this system has.",
        discussion: """
            The default is the loop that '--loop auto' chooses: the one that the environment variable ASYNCIO_LOOP \
            names, otherwise the best one that is not chosen by name only. Each loop that the system may have is tried.

            EXAMPLES:
              aio loops
              aio loops --json
              ASYNCIO_LOOP=poll aio loops
            """)

    @Flag(help: "Print an array of objects instead of a table.")
    var json = false

    func run() throws {
        let loops = LoopKind.support
        for line in json ? Self.json(loops) : Self.table(loops) { say(line) }
        // Says why there is no default.
        if !loops.contains(where: \.isDefault) { try LoopKind.auto.makeLoop().close() }
    }

    static func table(_ loops: [LoopSupport]) -> [String] {
        let rows =
            [["NAME", "FAMILY", "AVAILABLE", "DEFAULT", "REASON"]]
            + loops.map { loop in
                [
                    loop.kind.rawValue, family(of: loop), loop.isAvailable ? "yes" : "no",
                    loop.isDefault ? "yes" : "", loop.reason,
                ]
            }
        let widths = rows[0].indices.map { column in rows.map(\.[column].count).max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }

    static func json(_ loops: [LoopSupport]) -> [String] {
        let objects = loops.map { loop in
            "  {\"name\": \(quoted(loop.kind.rawValue)), \"family\": \(quoted(family(of: loop))), "
                + "\"available\": \(loop.isAvailable), \"default\": \(loop.isDefault), "
                + "\"reason\": \(quoted(loop.reason))}"
        }
        return ["[\n" + objects.joined(separator: ",\n") + "\n]"]
    }

    private static func family(of loop: LoopSupport) -> String { loop.isCompletionBased ? "completion" : "readiness" }

    /// Returns `text` as a JSON string.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
