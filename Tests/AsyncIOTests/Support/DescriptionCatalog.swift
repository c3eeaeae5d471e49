import Foundation

/// The descriptions of values of the public types, as text that can be compared: numbers that differ between runs are
/// replaced.
struct DescriptionCatalog: Sendable {
    private var entries: [String: [String]] = [:]

    /// Adds the descriptions of values of `type`.
    mutating func add(_ type: String, _ values: Any...) {
        for value in values { addText(type, String(describing: value)) }
    }

    mutating func addText(_ type: String, _ text: String) {
        let stable = text.replacing(/fd=\d+/, with: "fd=N")
            .replacing(/FileDescriptor\(rawValue: \d+\)/, with: "FileDescriptor(rawValue: N)")
            .replacing(/limit is \d+ descriptors/, with: "limit is N descriptors")
            .replacing(/127\.0\.0\.1:\d{3,}/, with: "127.0.0.1:PORT")
        entries[type, default: []].append(stable)
    }

    var types: Set<String> { Set(entries.keys) }

    /// Each type, followed by a line for each value.
    var text: String {
        entries.sorted { $0.key < $1.key }
            .map { "\($0.key)\n" + $0.value.map { "    \($0)\n" }.joined() }
            .joined()
    }

    // MARK: The sources

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// Returns the full names of the public classes, structures, enumerations and actors of the library's modules,
    /// without those of other systems.
    static func publicTypes() throws -> Set<String> {
        var types: Set<String> = []
        for module in ["AsyncIO", "AsyncIOSystem", "Selectors", "Proactors", "AsyncIOTesting"] {
            let folder = root.appending(path: "Sources/\(module)")
            let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
            for case let file as URL in files ?? .init() where file.pathExtension == "swift" {
                types.formUnion(publicTypes(of: try String(contentsOf: file, encoding: .utf8)))
            }
        }
        return types.subtracting(["KqueueSelector"])
    }

    private static func publicTypes(of source: String) -> [String] {
        let declaration =
            /^( *)((?:@\w+ |public |open |package |fileprivate |private |final |indirect )*)(class|struct|enum|actor|extension) ([\w.]+)/
        var types: [String] = []
        var scopes: [(indentation: Int, name: String)] = []
        for line in source.split(separator: "\n") {
            guard let match = line.firstMatch(of: declaration), match.4 != "func", match.4 != "var" else { continue }
            scopes.removeAll { $0.indentation >= match.1.count }
            scopes.append((match.1.count, String(match.4)))
            guard match.3 != "extension", match.2.contains("public") || match.2.contains("open") else { continue }
            types.append(scopes.map(\.name).joined(separator: "."))
        }
        return types
    }
}
