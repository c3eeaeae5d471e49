import AsyncIOSystem
import AsyncIOTesting
import SystemPackage
import Testing

@testable import AsyncIO

/// One question answers whether a connection has just ended.
struct ConnectionClosedTests {
    @Test func errorsOfTheSystemThatEndAConnection() {
        let ends: [Errno] = [
            .brokenPipe, .connectionReset, .connectionAbort, .socketNotConnected, .socketShutdown, .timedOut,
        ]
        for errno in ends {
            #expect(IOError(errno, operation: "receive from").isConnectionClosed)
            // There was no connection.
            #expect(!IOError(errno, operation: "connect to").isConnectionClosed)
        }
        let others: [Errno] = [.noMemory, .badFileDescriptor, .connectionRefused, .tooManyOpenFiles]
        for errno in others { #expect(!IOError(errno, operation: "receive from").isConnectionClosed) }
    }

    @Test func codesThatEndAConnection() {
        #expect(EventLoopError(.connectionClosed, "").isConnectionClosed)
        #expect(EventLoopError(.connectionBroken, "").isConnectionClosed)
        for code in [EventLoopError.Code.closed, .incompleteWrite, .timedOut, .busy] {
            #expect(!EventLoopError(code, "").isConnectionClosed)
        }
        #expect(!IncompleteReadError(partial: [], expectedBytes: 4).isConnectionClosed)
        #expect(!CancellationError().isConnectionClosed)
    }

    @Test(arguments: ScriptedBackend.allCases)
    func readsAndWritesAfterEachEndOfAConnection(backend: ScriptedBackend) async throws {
        try await withScriptedNetwork(backend) { network in
            for isReset in [false, true] {
                let (reader, writer, peer) = try network.openStreams()
                let read = network.loop.createTask { try await reader.readExactly(5) }
                await network.idle()
                if isReset { peer.resets() } else { writer.close() }
                let error = await #expect(throws: (any Error).self) { try await read.value }
                #expect(error?.isConnectionClosed == true)
                #expect(((error as? EventLoopError)?.code == .connectionClosed) == !isReset)
                let late = await #expect(throws: (any Error).self) { try await writer.write("late") }
                #expect(late?.isConnectionClosed == true)
            }
        }
    }
}
