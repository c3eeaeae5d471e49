import AsyncIO

/// Returns the code of the loop's error that `body` throws; `nil` if it throws none, or another error.
func code(_ body: () throws -> Void) -> EventLoopError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? EventLoopError)?.code
    }
}

/// Does the same for async code.
func asyncCode(_ body: () async throws -> Void) async -> EventLoopError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? EventLoopError)?.code
    }
}
