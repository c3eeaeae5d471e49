/// The tasks that a loop started and that have not ended, in the order of registration: a doubly linked list through
/// their records. It does not retain the records; the tasks do, and remove them from the list when they end.
struct TaskList: ~Copyable {
    private var first: Unmanaged<TaskRecord>?
    private var last: Unmanaged<TaskRecord>?
    private(set) var count = 0

    @inline(__always)
    var isEmpty: Bool { count == 0 }

    /// All records, for use while the list changes.
    var records: [TaskRecord] {
        var records: [TaskRecord] = []
        records.reserveCapacity(count)
        var next = first
        while let record = next?.takeUnretainedValue() {
            records.append(record)
            next = record.next
        }
        return records
    }

    mutating func append(_ record: TaskRecord) {
        let entry = Unmanaged.passUnretained(record)
        record.previous = last
        record.next = nil
        if let last { last._withUnsafeGuaranteedRef { $0.next = entry } } else { first = entry }
        last = entry
        count &+= 1
    }

    /// Removes a record that is in the list.
    mutating func remove(_ record: TaskRecord) {
        if let previous = record.previous {
            previous._withUnsafeGuaranteedRef { $0.next = record.next }
        } else {
            first = record.next
        }
        if let next = record.next {
            next._withUnsafeGuaranteedRef { $0.previous = record.previous }
        } else {
            last = record.previous
        }
        record.next = nil
        record.previous = nil
        count &-= 1
    }
}
