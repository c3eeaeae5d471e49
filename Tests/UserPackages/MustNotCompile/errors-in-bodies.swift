import AsyncIO

// An error inside a body is reported at its own line, not as a failure of the call that takes the body.
func bodiesOfRun(_ runner: Runner) throws {
    try run { loop in
        print("begins")
        loop.misspelt() // error: value of type 'EventLoop' has no member 'misspelt'
        print("ends")
    }
    try run { loop in loop.misspelt() } // error: value of type 'EventLoop' has no member 'misspelt'
    let sum = try run {
        let one = 1
        print(one.misspelt) // error: value of type 'Int' has no member 'misspelt'
        return one
    }
    try run(on: .poll) { loop in
        let now = loop.now
        let later: String = now // error: cannot convert value of type 'LoopInstant' to specified type 'String'
        print(later)
    }
    try run(isDebug: true) { loop in
        for number in 0..<sum {
            if number == 2 { return }
            print(unknown) // error: cannot find 'unknown' in scope
        }
        try await loop.sleep(for: .zero)
    }
    let text = try runner.run { loop in
        let time = loop.now
        print(time.misspelt) // error: value of type 'LoopInstant' has no member 'misspelt'
        return "text"
    }
    print(text)
}

func missingWords() throws {
    try run { loop in
        let (reader, _) = try await loop.openConnection(host: "localhost", port: 7)
        let line = await reader.readLine() // error: call can throw but is not marked with 'try'
        print(line ?? "")
    }
}

func bodiesWithinBodies() throws {
    try run { loop in
        let server = try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
            let line = try await reader.readLine()
            try await writer.write(line.misspelt) // error: value of type 'String?' has no member 'misspelt'
        }
        try await server.waitClosed()
    }
    try run(on: .epoll) { loop in
        try await loop.startServer(host: "127.0.0.1", port: 0) { reader, writer in
            print(reader.misspelt) // error: value of type 'StreamReader' has no member 'misspelt'
            writer.close()
        }
    }
    try run { loop in
        loop.createTask {
            loop.createTask { print(loop.misspelt) } // error: value of type 'EventLoop' has no member 'misspelt'
        }
    }
}

func bodiesOfTasks(_ loop: EventLoop) async throws {
    let failing = loop.createTask {
        let one = 1
        try await loop.sleep(for: .seconds(1))
        return one + "one" // error: binary operator '+' cannot be applied to operands of type 'Int' and 'String'
    }
    let waiting = loop.createTask(name: "waiting") {
        let one = 1
        await loop.yield()
        print(one.misspelt) // error: value of type 'Int' has no member 'misspelt'
        return one
    }
    let posted = loop.createTaskThreadsafe {
        let one = 1
        print(one.misspelt) // error: value of type 'Int' has no member 'misspelt'
        return one
    }
    print(failing, waiting, posted)
}

func tasksThatMayFail(_ loop: EventLoop) async {
    let failing = loop.createTask { try await loop.sleep(for: .seconds(1)) }
    await failing.value // error: property access can throw, but it is not marked with 'try'
    let waiting = loop.createTask { await loop.yield() }
    await waiting.value
}

func bodiesWithTimeLimits(_ reader: StreamReader) async throws {
    let line = try await withTimeout(.seconds(5)) {
        let line = try await reader.readLine()
        print(line.misspelt) // error: value of type 'String?' has no member 'misspelt'
        return line
    }
    print(line ?? "")
}

func bodiesOfGroups(_ loop: EventLoop) async throws {
    try await withLoopTaskGroup { group in
        let time = loop.now
        print(time.misspelt) // error: value of type 'LoopInstant' has no member 'misspelt'
    }
    try await withLoopTaskGroup { group in
        group.createTask {
            try await loop.sleep(for: .seconds(1))
            print(group.misspelt) // error: value of type 'LoopTaskGroup' has no member 'misspelt'
        }
    }
    let numbers = [1, 2]
    let sums = try await gather(each: numbers) { number in
        try await loop.sleep(for: .seconds(number))
        return number.misspelt // error: value of type 'Int' has no member 'misspelt'
    }
    let sum = try await shield {
        try await loop.sleep(for: .seconds(1))
        return loop.misspelt // error: value of type 'EventLoop' has no member 'misspelt'
    }
    print(sums, sum)
}
