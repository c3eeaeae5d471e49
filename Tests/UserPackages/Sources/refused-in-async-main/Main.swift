import AsyncIO

// `run` cannot be called in an async function by its name. Hidden in a synchronous function, it throws an error with a
// message.
func hidden() throws { try run {} }

func hiddenForever() throws {
    let loop = try SelectorEventLoop()
    defer { try? loop.close() }
    try loop.runForever()
}

@main struct Main {
    static func main() async throws {
        try await Task.sleep(for: .milliseconds(1))
        for refused in [hidden, hiddenForever] {
            do {
                try refused()
                preconditionFailure("run was not refused")
            } catch let error as EventLoopError {
                precondition(error.code == .calledFromTask)
                precondition(error.description.contains("call it from synchronous code"))
            }
        }
        print("ok: refused in async main")
    }
}
