import AsyncIO

// The same program as a package with default settings and as one with the upcoming features of Swift.

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
        return count
    }
    precondition(count == 44, "\(count)")
}

let runner = Runner()
let first = try runner.run { loop in
    let server = try await loop.startServer(host: "127.0.0.1", port: 0, echo)
    let port = server.localAddresses[0].port!
    return try await server.whileServing { try await ask(on: loop, port).count }
}
let isGone = try runner.run {
    let loop = try getRunningLoop()
    let value = loop.createTask { await described(loop) }
    return await value.value
}
try runner.close()
precondition(first == 4 && isGone == "0 tasks")

func described(_ loop: EventLoop) async -> String {
    await loop.yield()
    return "\(loop.taskCount - 2) tasks"
}
print("ok: default settings")
