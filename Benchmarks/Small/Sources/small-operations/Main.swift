import AsyncIO
import Glibc

/// `small-operations NAME COUNT [ROUNDS]` performs an operation and prints the CPU time of each round, in ns per
/// operation.
@main
struct Main {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, let count = Int(arguments[2]), count > 0,
            let operation = Operation.all.first(where: { $0.name == arguments[1] })
        else { fail("usage: small-operations NAME COUNT [ROUNDS], where NAME is one of \(names)") }
        let rounds = arguments.count > 3 ? Int(arguments[3]) ?? 1 : 1
        do {
            let loop = try SelectorEventLoop()
            try loop.runUntilComplete {
                for _ in 0..<rounds {
                    let began = cpuNanoseconds()
                    try await operation.run(loop, count)
                    print(Double(cpuNanoseconds() - began) / Double(count))
                }
            }
            try loop.close()
        } catch {
            fail("\(operation.name) failed: \(error)")
        }
    }

    private static var names: String { Operation.all.map(\.name).joined(separator: ", ") }

    /// The CPU time of all threads, because the threads of Swift's pool may work for an operation.
    private static func cpuNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private static func fail(_ sentence: String) -> Never {
        let text = "small-operations: \(sentence)\n"
        _ = write(STDERR_FILENO, text, text.utf8.count)
        exit(2)
    }
}
