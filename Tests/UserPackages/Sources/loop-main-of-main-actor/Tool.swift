import AsyncIO

// Everything in this module is isolated to the main actor, except types that conform to a protocol of another module;
// hence the keyword below. The loop runs on the main thread.
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
