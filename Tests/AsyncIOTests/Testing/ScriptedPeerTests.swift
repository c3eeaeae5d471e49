import AsyncIO
import AsyncIOSystem
import Foundation
import Proactors
import SystemPackage
import Testing

@testable import AsyncIOTesting

struct ScriptedPeerTests {
    /// The next connection on the same proactor may get the number.
    @Test func peerOfAClosedSocketDoesNotAffectTheNextOwnerOfItsNumber() throws {
        let proactor = ScriptedProactor(clock: VirtualClock())
        proactor.carriesOutOperations = false
        let (near, far) = try Socket.pair()
        let (next, nextFar) = try Socket.pair()
        let peer = ScriptedPeer(near, far: far, .proactor(proactor))
        // Closes the socket and reuses its number in one step, because another test may be opening files.
        #expect(dup2(next.number, near.number) == near.number)
        #expect(peer.wasClosed)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
        defer { memory.deallocate() }
        try proactor.submit(.receive(from: near, into: memory), token: 1)
        peer.sends("late")
        #expect(proactor.operations.count == 1)
        #expect(peer.receives == 0)
        for socket in [near, next, nextFar] { socket.close() }
    }
}
