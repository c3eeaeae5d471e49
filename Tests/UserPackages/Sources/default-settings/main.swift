import AsyncIO

// The same program, as a package with default settings and as one with the upcoming features of Swift.

let kinds = try run { _ in LoopKind.available }
for kind in kinds {
    let count = try run(on: kind) { loop in
        let room = Room()
        var count = 0
        for (server, answers) in try await servers(on: loop, room) {
            for given in try await ask(on: loop, server.localAddresses[0].port!) {
                precondition(given == answers, "\(given) for \(answers)")
                count += 1
            }
            server.close()
            try await server.waitClosed()
        }
        precondition(room.visits == 8)
        try await push(on: loop)
        try await together(on: loop)
        return count
    }
    precondition(count == 48, "\(count)")
}

let runner = Runner()
let first = try runner.run { loop in
    let server = try await loop.startServer(host: "127.0.0.1", port: 0, echo)
    let port = server.localAddresses[0].port!
    return try await server.withServing { try await ask(on: loop, port).count }
}
let isGone = try runner.run {
    let loop = try getRunningLoop()
    let value = loop.createTask { await described(loop) }
    return await value.value
}
try runner.close()
precondition(first == 4 && isGone == "0 tasks")

/// Several concurrent clients.
func together(on loop: EventLoop) async throws {
    let room = Room()
    let server = try await room.open(on: loop)
    let port = server.localAddresses[0].port!
    let (one, two) = try await gather({ try await Client(on: loop, port) }, { try await Client(on: loop, port) })
    let first = try await one.ask("hello")
    let second = try await shield { try await two.ask("hello") }
    let counts = try await gather(each: [port, port]) { port in try await ask(on: loop, port).count }
    var tasks: [Task<[String], any Error>] = []
    for client in [try await Client(on: loop, port), try await Client(on: loop, port)] {
        tasks.append(loop.createTask { try await client.ask("hello") })
        _ = try await wait(for: tasks)
    }
    for try await task in asCompleted(tasks) {
        let lines = try await task.value
        precondition(lines.count >= 2)
    }
    precondition(first.first == "first hello" && second.first == "first hello" && counts == [4, 4])
    server.close()
    try await server.waitClosed()
}

func described(_ loop: EventLoop) async -> String {
    await loop.yield()
    return "\(loop.statistics.tasks - 2) tasks"
}
print("ok: default settings")
