/// Carries a value across an isolation boundary where the library itself guarantees that only one side uses it.
struct UncheckedSendable<Value>: @unchecked Sendable {
    let value: Value
}

/// Carries an async function across; the same promise. A type of its own, since a generic one would wrap the function.
struct SentOperation<Result>: @unchecked Sendable {
    let call: nonisolated(nonsending) () async throws -> Result
}

/// Carries an async function of the user's across; the same promise.
///
/// Users' functions are `@concurrent` in the type system, which means here: they run where their task does, on the
/// loop, and share an isolation with all other nonisolated functions. So they call plain helpers also in a module with
/// default settings.
struct SentBody<Result>: @unchecked Sendable {
    let call: @concurrent () async throws -> Result

    @concurrent
    fileprivate func callInTask() async throws -> UncheckedSendable<Result> {
        UncheckedSendable(value: try await call())
    }
}

/// As ``SentBody``, of a function that cannot throw.
struct SentValueBody<Result>: @unchecked Sendable {
    let call: @concurrent () async -> Result
}

/// Calls a user's function from one that stays on its caller's thread.
nonisolated(nonsending) func callBody<Result>(_ body: @concurrent () async throws -> Result) async throws -> Result {
    try await withoutActuallyEscaping(body, do: BodyCall<Result>().run)
}

/// `callBody`, with a function that may be passed on as escaping.
private struct BodyCall<Result> {
    nonisolated(nonsending) func run(_ body: @concurrent @escaping () async throws -> Result) async throws -> Result {
        // SAFETY: the caller is suspended until the body has ended: one of the two uses what it captures, and its
        // result.
        try await SentBody(call: body).callInTask().value
    }
}
