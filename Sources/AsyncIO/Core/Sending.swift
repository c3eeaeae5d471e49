/// Carries a value across an isolation boundary where the library itself guarantees that only one side uses it.
struct UncheckedSendable<Value>: @unchecked Sendable {
    let value: Value
}

/// Carries an async function across, with the same guarantee. A generic type would wrap the function.
struct SentOperation<Result>: @unchecked Sendable {
    let call: nonisolated(nonsending) () async throws -> Result
}

/// Carries an async function of the user across, with the same guarantee. Functions of users are `@concurrent` in the
/// type system. Here they run where their task runs, on the loop, and share an isolation with all other nonisolated
/// functions. So they can call plain helper functions, even in a module with default settings.
struct SentBody<Result>: @unchecked Sendable {
    let call: @concurrent () async throws -> Result

    @concurrent
    fileprivate func callInTask() async throws -> UncheckedSendable<Result> {
        UncheckedSendable(value: try await call())
    }
}

/// As ``SentBody``, for a function that cannot throw.
struct SentValueBody<Result>: @unchecked Sendable {
    let call: @concurrent () async -> Result
}

/// Calls a function of the user from a function that runs where its caller runs.
nonisolated(nonsending) func callBody<Result>(_ body: @concurrent () async throws -> Result) async throws -> Result {
    try await withoutActuallyEscaping(body, do: BodyCall<Result>().run)
}

/// A call of `callBody`, with a function that may be passed on as escaping.
private struct BodyCall<Result> {
    nonisolated(nonsending) func run(_ body: @concurrent @escaping () async throws -> Result) async throws -> Result {
        // SAFETY: the caller is suspended until the body has ended, so only one of them uses what the body captures,
        // and its result.
        try await SentBody(call: body).callInTask().value
    }
}
