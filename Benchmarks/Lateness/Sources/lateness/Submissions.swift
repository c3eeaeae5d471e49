import AsyncIO
import Foundation

/// Four million callbacks that another thread submits while the loop's thread is blocked.
final class Submissions {
    private static let burst = 4_000_000

    private let loop: EventLoop

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func begin(_ measurement: Measurement) {
        loop.callSoon { [self] in
            submit(measurement)
            measurement.restart()
        }
    }

    private func submit(_ measurement: Measurement) {
        let (loop, sendSignal) = (self.loop, measurement.sendSignal)
        nonisolated(unsafe) let measurement = measurement
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            for number in 1...Self.burst {
                do {
                    try loop.callSoonThreadsafe {
                        measurement.count(1)
                        if number == Self.burst { measurement.end() }
                    }
                } catch {
                    fail("\(error)")
                }
            }
            sendSignal()
            done.signal()
        }
        done.wait()
    }
}
