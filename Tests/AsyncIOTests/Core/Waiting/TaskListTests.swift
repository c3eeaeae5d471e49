import AsyncIOTesting
import Testing

@testable import AsyncIO

struct TaskListTests {
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func randomUseMatchesAnArray(seed: UInt64) async throws {
        try await withLoopThread(makeLoop: VirtualLoop.init) { loop in
            var generator = SeededGenerator(seed: seed)
            var list = TaskList()
            var model: [TaskRecord] = []
            #expect(list.isEmpty == true)
            for _ in 0..<1_000 {
                if let index = model.indices.randomElement(using: &generator), Bool.random(using: &generator) {
                    list.remove(model.remove(at: index))
                } else {
                    let record = CreatedTask(loop: loop, name: nil, site: CallSite(fileID: #fileID, line: #line))
                    list.append(record)
                    model.append(record)
                }
                let isAlike = list.records.elementsEqual(model, by: ===)
                #expect(isAlike)
                #expect(list.count == model.count)
            }
            for record in model { list.remove(record) }
            #expect(list.isEmpty == true)
        }
    }
}
