import AsyncIOTesting
import Testing

@testable import AsyncIO

struct TaskTableTests {
    /// Identities that share few slots of a small table, so that searches and removals meet other entries.
    private func identities(_ count: Int) -> [TaskIdentity] {
        (1...count).map { TaskIdentity(address: UInt($0) << 16) }
    }

    @Test(arguments: TestLoop.all)
    func noRecordIsFoundOutsideOfTasks(kind: TestLoop) async throws {
        try await withVirtualLoopThread(kind) { loop in
            var table = TaskTable(capacity: 2)
            #expect(table[.none] == nil)
            let record = CreatedTask(loop: loop, name: nil, site: CallSite(fileID: #fileID, line: #line))
            for identity in identities(10) { table.insert(record, identity) }
            #expect(table[.none] == nil)
            #expect(table.count == 10)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func randomUseMatchesADictionary(seed: UInt64) async throws {
        try await withLoopThread { loop in
            var generator = SeededGenerator(seed: seed)
            var table = TaskTable(capacity: 4)
            var model: [TaskIdentity: TaskRecord] = [:]
            let all = identities(40)
            for _ in 0..<4_000 {
                let identity = try #require(all.randomElement(using: &generator))
                if model.removeValue(forKey: identity) != nil {
                    table.remove(identity)
                } else {
                    let record = CreatedTask(loop: loop, name: nil, site: CallSite(fileID: #fileID, line: #line))
                    record.assignID()
                    model[identity] = record
                    table.insert(record, identity)
                }
                #expect(table.count == model.count)
                var isAlike = true
                for identity in all where table[identity] !== model[identity] { isAlike = false }
                #expect(isAlike)
                let records = model.values.sorted { $0.id < $1.id }
                #expect(table.records.map(\.id) == records.map(\.id))
            }
        }
    }
}
