import AsyncIO

// Everything of this module is the main actor's, but for what conforms to a protocol of another one: hence the word
// below. The loop serves the main thread.
var answered = 0

@main struct Tool: EventLoopMain {
    @MainActor static func main(on loop: EventLoop) async throws {
        for _ in 0..<3 {
            try await loop.sleep(for: .microseconds(10))
            answered += 1
        }
        precondition(answered == 3 && loop.isOnLoop)
        print("ok: loop main of the main actor")
    }
}
