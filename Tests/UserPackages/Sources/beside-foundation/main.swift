import AsyncIO
import Foundation

// Foundation also has types named Stream, Process and Operation; the library's names do not collide with them.
let encoded = try run {
    let loop = try getRunningLoop()
    let server = try await loop.startServer(host: "localhost", port: 0) { reader, writer in
        let request = try await reader.readLine() ?? ""
        let answer = try JSONSerialization.data(withJSONObject: ["echo": request])
        try await writer.write([UInt8](answer))
    }
    let port = server.localAddresses[0].port!
    let (reader, writer) = try await loop.openConnection(host: server.localAddresses[0].host, port: port)
    try await writer.write("hi\n")
    try await writer.writeEOF()
    let answer = try await reader.read(maxBytes: 1000)
    writer.close()
    server.close()
    try await server.waitClosed()
    return Data(answer)
}
var queue = ByteQueue()
try queue.append([UInt8](encoded))
precondition(queue.withBytes { Data([UInt8]($0)) } == encoded)
precondition(String(data: encoded, encoding: .utf8) == #"{"echo":"hi"}"#)
print("ok: beside Foundation")
