import Foundation

/// A script of `Tests/Differential/scenarios`, whose README describes the fields.
struct Scenario: Decodable, Sendable, CustomStringConvertible {
    struct Operation: Decodable, Sendable {
        let op: String
        let id: String?
        let `do`: [Operation]?
        let `repeat`: Int?
        let after: Int?
        let at: Int?
        let ms: Int?
        let text: String?
        let end: String?
        let max: Int?
        let future: String?
    }

    let name: String
    let main: [Operation]
    let pairs: [String]?
    let asleep: [[Operation]]?

    var description: String { name }

    /// Where the scripts and the recordings are.
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Differential")

    /// All of them, in the order of their files.
    static let all: [Scenario] = {
        struct File: Decodable {
            let scenarios: [Scenario]
        }
        do {
            let files = try FileManager.default.contentsOfDirectory(
                at: folder.appending(path: "scenarios"), includingPropertiesForKeys: nil)
            return try files.filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }.flatMap {
                try JSONDecoder().decode(File.self, from: Data(contentsOf: $0)).scenarios
            }
        } catch {
            fatalError("the scenarios cannot be read: \(error)")
        }
    }()

    private static let asyncio = recording("expected.json")
    private static let ours = recording("expected-ours.json")

    /// What our loop should do.
    var expected: [String]? { Self.ours[name] ?? Self.asyncio[name] }

    private static func recording(_ name: String) -> [String: [String]] {
        do {
            let data = try Data(contentsOf: folder.appending(path: name))
            return try JSONDecoder().decode([String: [String]].self, from: data)
        } catch {
            fatalError("\(name) cannot be read: \(error)")
        }
    }
}
