import AsyncIO
import Foundation
import Testing

/// The numbers of tasks of two groups that were admitted and have not left.
private final class Counts: Sendable {
    private let state = Locked((now: [0, 0], most: [0, 0]))

    var most: [Int] { state.withLock { $0.most } }

    func entered(_ group: Int) -> [Int] {
        state.withLock { state in
            state.now[group] += 1
            state.most[group] = max(state.most[group], state.now[group])
            return state.now
        }
    }

    func left(_ group: Int) { state.withLock { $0.now[group] -= 1 } }
}

struct TestGroupTests {
    @Test func tasksOfDifferentGroupsAreNotAdmittedTogether() async {
        let lock = GroupLock<Int>()
        let counts = Counts()
        await withTaskGroup { tasks in
            for number in 0..<400 {
                tasks.addTask {
                    let group = number / 3 % 2
                    await lock.enter(group)
                    #expect(counts.entered(group)[1 - group] == 0)
                    for _ in 0..<10 { await Task.yield() }
                    counts.left(group)
                    lock.leave()
                }
            }
        }
        #expect(counts.most.allSatisfy { $0 > 1 }, "tasks of one group did not run in parallel")
    }

    @Test func everyTestThatStartsAProcessIsMarked() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let files = try #require(FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil))
        let starts = ["processExitsWith" + ":", "spawnReader" + "(of:", "forkedChild" + " {", "= fork" + "()"]
        var markedCount = 0
        for case let file as URL in files where file.pathExtension == "swift" {
            let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            for (number, line) in lines.enumerated() where starts.contains(where: line.contains) {
                // A function at the outermost level is not a test; the tests that call it are found by its name.
                let start = lines[..<number].last { $0.contains("@Test") || $0.hasPrefix("private func ") }
                guard let start, start.contains("@Test") else { continue }
                #expect(start.contains(".startsProcess"), "\(file.lastPathComponent): \(line)")
                markedCount += 1
            }
        }
        #expect(markedCount >= 40)
    }
}
