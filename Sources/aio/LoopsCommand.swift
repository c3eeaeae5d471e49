import ArgumentParser
import AsyncIO

struct LoopsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loops",
        abstract: "List the event loops and say which of them this system has.",
        discussion: """
            The default is the loop that '--loop auto' chooses. Each loop that the system may have is tried.

            EXAMPLES:
              aio loops
              aio loops --json
            """)

    @Flag(help: "Print an array of objects instead of a table.")
    var json = false

    func run() {
        for line in json ? Self.json(LoopKind.support) : Self.table(LoopKind.support) { say(line) }
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
