import AsyncIO
import AsyncIOTesting

/// Makes each public call that moves bytes with messages of two sizes, or with two numbers of pieces, for callgrind to
/// count.
///
/// `byte-costs` makes all calls, `byte-costs NAME` those whose name contains NAME. Work outside of the call, such as
/// creating the message, is not counted. Benchmarks/bytes runs the program.
@main
struct Main {
    static let sizes = [64 * 1024, 1024 * 1024]
    static let pieceCounts = [100, 1_100]

    static func main() throws {
        let wanted = CommandLine.arguments.dropFirst().first
        let calls: [[Call]] = [
            writerCalls, transportCalls, readerCalls, protocolCalls, socketCalls, memoryCalls, testingCalls,
        ]
        for call in calls.joined() where wanted.map(call.name.contains) ?? true {
            try call.measure()
        }
    }
}
