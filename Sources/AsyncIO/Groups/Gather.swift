/// Runs operations as concurrent tasks of the running loop, and returns their values in order. asyncio: `gather`.
///
/// ```swift
/// let (user, orders) = try await gather({ try await loadUser() }, { try await loadOrders() })
/// ```
///
/// The first error is thrown at once. The other tasks continue, and their results are discarded;
/// ``withLoopTaskGroup(fileID:line:_:)`` cancels and awaits them instead. A cancellation of the caller cancels all of
/// them, and is thrown when they have ended; if they all returned a value nevertheless, the values are returned. Throws
/// `.notRunning` without a running loop.
public func gather<each Success>(
    fileID: StaticString = #fileID, line: UInt = #line,
    _ operation: repeat @concurrent @escaping () async throws -> each Success
) async throws -> (repeat each Success) {
    let slots = (repeat OperationValue<each Success>())
    var operations: [SentBody<Void>] = []
    func add<Value>(_ slot: OperationValue<Value>, _ body: @concurrent @escaping () async throws -> Value) {
        operations.append(SentBody { slot.value = try await body() })
    }
    repeat add(each slots, each operation)
    let gathering = try Gathering(operations, CallSite(fileID: fileID, line: line))
    _ = try await gathering.run(stopsAtError: true)
    return (repeat (each slots).taken())
}

/// Calls an operation for each element; everything else is as in ``gather(fileID:line:_:)``.
///
/// ```swift
/// let pages = try await gather(each: addresses) { address in try await load(address) }
/// ```
public func gather<Elements: Sequence, Success>(
    each elements: Elements, fileID: StaticString = #fileID, line: UInt = #line,
    _ operation: @concurrent @escaping (Elements.Element) async throws -> Success
) async throws -> [Success] {
    let (slots, operations) = gatherOperations(elements, operation)
    let gathering = try Gathering(operations, CallSite(fileID: fileID, line: line))
    _ = try await gathering.run(stopsAtError: true)
    return slots.map { $0.value! }
}

/// Waits for existing tasks; everything else is as in ``gather(fileID:line:_:)``.
public func gather<Success: Sendable, Failure: Error>(
    _ tasks: [Task<Success, Failure>], fileID: StaticString = #fileID, line: UInt = #line
) async throws -> [Success] {
    let (slots, operations) = gatherOperations(tasks) { try await $0.value }
    let gathering = try Gathering(operations, CallSite(fileID: fileID, line: line), cancel: { tasks[$0].cancel() })
    _ = try await gathering.run(stopsAtError: true)
    return slots.map { $0.value! }
}

/// Calls an operation for each element, as concurrent tasks of the running loop, and returns the result of each, in the
/// order of the elements. asyncio: `gather(return_exceptions=True)`.
///
/// ```swift
/// for result in try await gatherResults(each: addresses, { address in try await load(address) }) { print(result) }
/// ```
///
/// A cancellation of the caller cancels all of them, and is thrown when they have ended, unless they all returned a
/// value. Throws `.notRunning` without a running loop.
public func gatherResults<Elements: Sequence, Success>(
    each elements: Elements, fileID: StaticString = #fileID, line: UInt = #line,
    _ operation: @concurrent @escaping (Elements.Element) async throws -> Success
) async throws -> [Result<Success, any Error>] {
    let (slots, operations) = gatherOperations(elements, operation)
    let gathering = try Gathering(operations, CallSite(fileID: fileID, line: line))
    return gatherResults(slots, try await gathering.run(stopsAtError: false))
}

/// Waits for existing tasks; everything else is as in ``gatherResults(each:fileID:line:_:)``.
public func gatherResults<Success: Sendable, Failure: Error>(
    _ tasks: [Task<Success, Failure>], fileID: StaticString = #fileID, line: UInt = #line
) async throws -> [Result<Success, any Error>] {
    let (slots, operations) = gatherOperations(tasks) { try await $0.value }
    let gathering = try Gathering(operations, CallSite(fileID: fileID, line: line), cancel: { tasks[$0].cancel() })
    return gatherResults(slots, try await gathering.run(stopsAtError: false))
}

private func gatherOperations<Elements: Sequence, Success>(
    _ elements: Elements, _ operation: @concurrent @escaping (Elements.Element) async throws -> Success
) -> (slots: [OperationValue<Success>], operations: [SentBody<Void>]) {
    var slots: [OperationValue<Success>] = []
    let operations = elements.map { element in
        let slot = OperationValue<Success>()
        slots.append(slot)
        return SentBody { slot.value = try await operation(element) }
    }
    return (slots, operations)
}

private func gatherResults<Success>(
    _ slots: [OperationValue<Success>], _ errors: [Int: any Error]
) -> [Result<Success, any Error>] {
    slots.enumerated().map { index, slot in errors[index].map { .failure($0) } ?? .success(slot.value!) }
}

private struct Gathering: @unchecked Sendable {
    private let loop: EventLoop
    // SAFETY: the operations go to the loop's thread, where the caller is suspended until this call returns.
    private let operations: [SentBody<Void>]
    private let site: CallSite
    private let cancel: ((Int) -> Void)?

    /// `cancel` cancels the task with that index, if it was not created by this call.
    init(_ operations: [SentBody<Void>], _ site: CallSite, cancel: ((Int) -> Void)? = nil) throws(EventLoopError) {
        loop = try getRunningLoop()
        self.operations = operations
        self.site = site
        self.cancel = cancel
    }

    /// Returns the errors by index, or throws the first one if `stopsAtError` is set.
    nonisolated(nonsending) func run(stopsAtError: Bool) async throws -> [Int: any Error] {
        try await loop.withAffinity { record in
            if loop.isClosed { throw EventLoopError.closed }
            let completions = Completions(loop: loop, site: site)
            let cancels = operations.enumerated().map { index, operation in
                completions.start(index, name: "gather", eagerStart: cancel != nil, operation)
            }
            var wasCancelled = false
            while completions.ended.count < operations.count {
                if stopsAtError, !wasCancelled, let first = completions.firstError { throw first }
                if try await !completions.waitForNext(record) {
                    wasCancelled = true
                    for index in operations.indices { cancel?(index) ?? cancels[index]() }
                }
            }
            if wasCancelled, !completions.errors.isEmpty { throw CancellationError() }
            if stopsAtError, let first = completions.firstError { throw first }
            return completions.errors
        }
    }
}

extension Completions {
    fileprivate var firstError: (any Error)? {
        ended.first { errors[$0] != nil }.flatMap { errors[$0] }
    }
}
