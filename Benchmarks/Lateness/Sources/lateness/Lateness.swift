import AsyncIO
import Foundation

/// Measures how late timers and a signal are while a loop is busy, and prints one line of JSON.
///
/// `lateness SCENARIO LOOP`: `submissions` is a burst of four million callbacks from another thread, `streams` are 800
/// connections whose tasks write without a pause, `idle` is neither.
@main
struct Lateness {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 2, let scenario = Scenario(rawValue: arguments[1]),
            let kind = LoopKind(rawValue: arguments[2])
        else { fail("usage: lateness (idle | submissions | streams) LOOP") }
        let loop = try kind.makeLoop()
        let measurement = Measurement(loop)
        try measurement.begin()
        switch scenario {
        case .idle:
            loop.callLater(after: .milliseconds(500), measurement.sendSignal)
            loop.callLater(after: .seconds(1)) { measurement.end() }
        case .submissions: Submissions(loop).begin(measurement)
        case .streams: try Streams(loop).begin(measurement)
        }
        try loop.runForever()
        print(measurement.json)
        fflush(nil)
        // The connections end with the process.
        exit(0)
    }
}

enum Scenario: String {
    case idle, submissions, streams
}

func fail(_ sentence: String) -> Never {
    FileHandle.standardError.write(Data("lateness: \(sentence)\n".utf8))
    exit(2)
}
