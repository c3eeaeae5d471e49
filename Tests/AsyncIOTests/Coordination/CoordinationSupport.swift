import AsyncIO

/// Whether the task ends with a `CancellationError`.
func isCancelled<Value>(_ task: Task<Value, any Error>) async -> Bool {
    if case .failure(let error) = await task.result { return error is CancellationError }
    return false
}

/// What the tasks of a test got, by their numbers; equal in the library and in a model of it.
final class Outcomes {
    private(set) var texts: [Int: String] = [:]

    subscript(number: Int) -> String? {
        get { texts[number] }
        set { texts[number] = newValue }
    }

    /// Notes what `operation` returns, or the name of its error.
    func note(_ number: Int, _ operation: () async throws -> String) async {
        do {
            texts[number] = try await operation()
        } catch let error as EventLoopError {
            texts[number] = "\(error.code)"
        } catch {
            texts[number] = error is CancellationError ? "cancelled" : "\(error)"
        }
    }
}
