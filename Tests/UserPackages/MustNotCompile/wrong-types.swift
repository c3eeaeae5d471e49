import AsyncIO

// What asyncio refuses while the program runs is refused by the compiler.
// covers: 23, 59, 96
func wrongTypes(_ loop: EventLoop) throws {
    setEventLoopPolicy("default") // error: argument type 'String' does not conform to expected type 'EventLoopPolicy'
    setEventLoop(3) // error: cannot convert value of type 'Int' to expected argument type 'EventLoop'
    try run(42) // error: cannot convert value of type 'Int'
    loop.callSoon(42) // error: cannot convert value of type 'Int'
    loop.callSoon { () async in } // error: cannot pass function of type '() async -> ()'
}
