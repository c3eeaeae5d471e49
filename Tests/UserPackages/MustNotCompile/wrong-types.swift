import AsyncIO

// Arguments that asyncio rejects at run time are rejected by the compiler.
// covers: 23, 59, 96
func wrongTypes(_ loop: EventLoop) throws {
    setEventLoopPolicy("default") // error: argument type 'String' does not conform to expected type 'EventLoopPolicy'
    setEventLoop(3) // error: cannot convert value of type 'Int' to expected argument type 'EventLoop'
    // Swift 6.3 has no message for an argument that is not a function of zero parameters or one.
    try run(42) // error: failed to produce diagnostic for expression
    loop.callSoon(42) // error: cannot convert value of type 'Int'
    loop.callSoon { () async in } // error: cannot pass function of type '() async -> ()'
}
