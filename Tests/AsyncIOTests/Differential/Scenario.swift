import Foundation

/// A script of `Tests/Differential/scenarios`, whose README describes the fields.
struct Scenario: Decodable, Sendable, CustomStringConvertible {
    struct Operation: Decodable, Sendable {
        let op: String
        var id: String?
        var `do`: [Operation]?
        let `repeat`: Int?
        let after: Int?
        let at: Int?
        let ms: Int?
        let text: String?
        let end: String?
        let max: Int?
        let future: String?
        let within: Int?
        let to: String?
        var `protocol`: Handlers?
        let times: Int?
        let pieces: [String]?
        let low: Int?
        let high: Int?
        let starts: Bool?
        let limit: Int?
        let count: Int?
        let kind: String?
        let path: String?

        /// The operation of a connection, in which "@" is the connection's name.
        func naming(_ id: String) -> Operation {
            var copy = self
            if copy.id == "@" { copy.id = id }
            copy.do = copy.do?.naming(id)
            copy.protocol = copy.protocol?.naming(id)
            return copy
        }
    }

    /// What a protocol does when it is called.
    struct Handlers: Decodable, Sendable {
        var made: [Operation]?
        var data: [Operation]?
        var eof: [Operation]?
        var lost: [Operation]?
        var paused: [Operation]?
        var resumed: [Operation]?
        var error: [Operation]?
        var staysOpen: Bool?
        var quiet: Bool?
        var name: String?
        var buffer: Int?

        static var empty: Handlers { Handlers() }

        func naming(_ id: String) -> Handlers {
            var copy = self
            copy.made = made?.naming(id)
            copy.data = data?.naming(id)
            copy.eof = eof?.naming(id)
            copy.lost = lost?.naming(id)
            copy.paused = paused?.naming(id)
            copy.resumed = resumed?.naming(id)
            copy.error = error?.naming(id)
            return copy
        }
    }

    let name: String
    let main: [Operation]
    let pairs: [String]?
    let pipes: [String]?
    let asleep: [[Operation]]?
    /// Whether the trace says what each object does at each instant, rather than in each iteration.
    let instants: Bool?

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

extension [Scenario.Operation] {
    func naming(_ id: String) -> Self { map { $0.naming(id) } }
}
