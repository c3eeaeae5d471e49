import Testing

@testable import AsyncIO

/// The pure state machine: which actions follow from which events.
struct StreamTransportStateTests {
    // covers: 148
    @Test func writingPausesStrictlyAboveTheHighMarkAndResumesAtTheLowMark() {
        var state = StreamTransportState()
        #expect(state.queued(queuedBytes: 64 * 1024) == [])
        #expect(state.queued(queuedBytes: 64 * 1024 + 1) == .pauseWriting)
        #expect(state.queued(queuedBytes: 128 * 1024) == [])
        #expect(state.flushed(queuedBytes: 16 * 1024 + 1) == [])
        #expect(state.flushed(queuedBytes: 16 * 1024) == .resumeWriting)
        #expect(state.flushed(queuedBytes: 0) == [])
        #expect(state.queued(queuedBytes: 70_000) == .pauseWriting)
    }

    // covers: 148, 149
    @Test func lowerMarksPauseWritingAtOnce() {
        var state = StreamTransportState()
        #expect(state.changedWaterMarks(low: 5, high: 10, queuedBytes: 11) == .pauseWriting)
        #expect(state.flushed(queuedBytes: 6) == [])
        #expect(state.flushed(queuedBytes: 5) == .resumeWriting)
        #expect(state.changedWaterMarks(low: 0, high: 0, queuedBytes: 0) == [])
        #expect(state.queued(queuedBytes: 1) == .pauseWriting)
        #expect(state.flushed(queuedBytes: 0) == .resumeWriting)
    }

    // covers: 151
    @Test func pausingAndResumingAreIdempotent() {
        var state = StreamTransportState()
        #expect(state.started() == .startReading)
        #expect(state.started() == [])
        #expect(state.pausedReading() == .stopReading)
        #expect(state.pausedReading() == [])
        #expect(state.resumedReading() == .startReading)
        #expect(state.resumedReading() == [])
    }

    // covers: 151
    @Test func pauseBeforeTheStartDelaysReading() {
        var state = StreamTransportState()
        #expect(state.pausedReading() == [])
        #expect(state.started() == [])
        #expect(state.resumedReading() == .startReading)
    }

    // covers: 286
    @Test func readingIsPausedWhileAFileIsSent() {
        var state = StreamTransportState()
        #expect(state.beganFile(pausesReading: true) == [])
        #expect(state.started() == [])
        #expect(state.acceptsWrites && !state.acceptsBareWrites)
        #expect(state.endedFile() == .startReading)
        #expect(state.acceptsBareWrites == true)
        #expect(state.beganFile(pausesReading: true) == .stopReading)
        #expect(state.endedFile() == .startReading)
        #expect(state.beganFile(pausesReading: false) == [])
        #expect(state.endedFile() == [])

        // What the program wants meanwhile counts.
        _ = state.beganFile(pausesReading: true)
        #expect(state.pausedReading() == [])
        #expect(state.endedFile() == [])
        _ = state.beganFile(pausesReading: true)
        #expect(state.resumedReading() == .startReading)
        #expect(state.endedFile() == [])

        // The connection may end meanwhile.
        _ = state.beganFile(pausesReading: true)
        #expect(state.closed(queuedBytes: 1) == [])
        #expect(state.endedFile() == [])
    }

    // covers: 152
    @Test func peersEOFClosesUnlessTheProtocolKeepsTheConnectionOpen() {
        var closing = StreamTransportState()
        _ = closing.started()
        #expect(closing.receivedEnd(staysOpen: false, queuedBytes: 0) == [.stopReading, .lose])
        #expect(closing.life == .lost)

        var flushing = StreamTransportState()
        _ = flushing.started()
        #expect(flushing.receivedEnd(staysOpen: false, queuedBytes: 1) == .stopReading)
        #expect(flushing.life == .closing)
        #expect(flushing.flushed(queuedBytes: 0) == .lose)

        var open = StreamTransportState()
        _ = open.started()
        #expect(open.receivedEnd(staysOpen: true, queuedBytes: 0) == .stopReading)
        #expect(open.acceptsWrites == true)
        #expect(open.receivedEnd(staysOpen: true, queuedBytes: 0) == [])
        #expect(open.resumedReading() == [])
        #expect(open.closed(queuedBytes: 0) == .lose)
    }

    // covers: 153
    @Test func shutdownOfTheWriteSideWaitsForTheQueue() {
        var state = StreamTransportState()
        #expect(state.endedWriting(queuedBytes: 3) == [])
        #expect(state.acceptsWrites == false)
        #expect(state.flushed(queuedBytes: 1) == [])
        #expect(state.flushed(queuedBytes: 0) == .shutdownWrite)
        #expect(state.flushed(queuedBytes: 0) == [])
        #expect(state.endedWriting(queuedBytes: 0) == [])

        var idle = StreamTransportState()
        #expect(idle.endedWriting(queuedBytes: 0) == .shutdownWrite)
    }

    // covers: 154
    @Test func connectionEndsWhenBothSidesHaveSentEOF() {
        var peerFirst = StreamTransportState()
        _ = peerFirst.started()
        _ = peerFirst.receivedEnd(staysOpen: true, queuedBytes: 0)
        #expect(peerFirst.endedWriting(queuedBytes: 0) == [.shutdownWrite, .lose])

        var peerFirstWithQueue = StreamTransportState()
        _ = peerFirstWithQueue.started()
        _ = peerFirstWithQueue.receivedEnd(staysOpen: true, queuedBytes: 5)
        #expect(peerFirstWithQueue.endedWriting(queuedBytes: 5) == [])
        #expect(peerFirstWithQueue.flushed(queuedBytes: 0) == [.shutdownWrite, .lose])

        var peerLast = StreamTransportState()
        _ = peerLast.started()
        _ = peerLast.endedWriting(queuedBytes: 0)
        #expect(peerLast.receivedEnd(staysOpen: true, queuedBytes: 0) == [.stopReading, .lose])
    }

    // covers: 141
    @Test func closeWaitsForTheQueueAndAbortDoesNot() {
        var closing = StreamTransportState()
        _ = closing.started()
        #expect(closing.closed(queuedBytes: 10) == .stopReading)
        #expect(closing.isClosing == true)
        #expect(closing.acceptsWrites == false)
        #expect(closing.closed(queuedBytes: 10) == [])
        #expect(closing.flushed(queuedBytes: 4) == [])
        #expect(closing.flushed(queuedBytes: 0) == .lose)

        var aborted = StreamTransportState()
        _ = aborted.started()
        _ = aborted.closed(queuedBytes: 10)
        #expect(aborted.failed() == [.discardQueue, .lose])
        #expect(aborted.failed() == [])
        #expect(aborted.flushed(queuedBytes: 0) == [])
    }

    // covers: 153
    @Test func abortPreventsAPendingShutdownOfTheWriteSide() {
        var state = StreamTransportState()
        _ = state.endedWriting(queuedBytes: 3)
        #expect(state.failed() == [.discardQueue, .lose])
        #expect(state.flushed(queuedBytes: 0) == [])
    }

    // covers: F12
    @Test func gracefulCloseShutsDownTheWriteSideAndContinuesReading() {
        var state = StreamTransportState()
        _ = state.started()
        #expect(state.closedGracefully(queuedBytes: 5, maxDiscardedBytes: 10) == [])
        #expect(state.isClosing && state.acceptsInput && !state.acceptsWrites)
        #expect(state.closed(queuedBytes: 5) == [])
        #expect(state.pausedReading() == [])
        #expect(state.endedWriting(queuedBytes: 5) == [])
        #expect(state.flushed(queuedBytes: 0) == .shutdownWrite)
        #expect(state.receivedEnd(staysOpen: false, queuedBytes: 0) == [.stopReading, .lose])
        #expect(state.failed() == [])
    }

    // covers: F12
    @Test func gracefulCloseReadsAlthoughReadingWasPaused() {
        var state = StreamTransportState()
        _ = state.started()
        _ = state.pausedReading()
        #expect(state.closedGracefully(queuedBytes: 0, maxDiscardedBytes: 10) == [.startReading, .shutdownWrite])
        #expect(state.discarded(10, queuedBytes: 0) == [.stopReading, .lose])
        #expect(state.discarded(1, queuedBytes: 0) == [])
    }

    // covers: F12
    @Test func peerThatSendsEOFBeforeTheFlushStillReceivesTheQueue() {
        var state = StreamTransportState()
        _ = state.started()
        _ = state.closedGracefully(queuedBytes: 5, maxDiscardedBytes: 10)
        #expect(state.receivedEnd(staysOpen: false, queuedBytes: 5) == .stopReading)
        #expect(state.flushed(queuedBytes: 1) == [])
        #expect(state.flushed(queuedBytes: 0) == [.shutdownWrite, .lose])
    }

    /// Every sequence of four events, from the beginning and while reading, fulfils the invariants.
    // covers: 138, 140, 148, 151, 153
    @Test func actionsAreConsistentInEverySequenceOfEvents() {
        let count = Event.allCases.count
        for number in 0..<(2 * count * count * count * count) {
            var rest = number / 2
            var walk = Walk()
            if number.isMultiple(of: 2) { walk.step(.start) }
            for _ in 0..<4 {
                walk.step(Event.allCases[rest % count])
                rest /= count
            }
            if let problem = walk.problem {
                Issue.record("\(problem) after \(walk.events.map { String(describing: $0) })")
                return
            }
        }
    }
}

private enum Event: CaseIterable {
    case start, pauseReading, resumeReading, peerEndsAndStays, peerEnds
    case writesMuch, flushesSome, flushesAll, writeEOF, close, fail
}

/// Passes events to the state machine as a transport does, and records the actions.
private struct Walk: ~Copyable {
    private var state = StreamTransportState()
    private var queuedBytes = 0
    private var isReading = false
    private var isPaused = false
    private var shutdowns = 0
    private var losses = 0
    private(set) var events: [Event] = []
    private(set) var problem: String?

    mutating func step(_ event: Event) {
        events.append(event)
        let actions: StreamTransportState.Actions
        switch event {
        case .start: actions = state.started()
        case .pauseReading: actions = state.pausedReading()
        case .resumeReading: actions = state.resumedReading()
        case .peerEndsAndStays: actions = state.receivedEnd(staysOpen: true, queuedBytes: queuedBytes)
        case .peerEnds: actions = state.receivedEnd(staysOpen: false, queuedBytes: queuedBytes)
        case .writesMuch:
            if state.acceptsWrites { queuedBytes += 100_000 }
            actions = state.acceptsWrites ? state.queued(queuedBytes: queuedBytes) : []
        case .flushesSome:
            queuedBytes = min(queuedBytes, 10_000)
            actions = state.flushed(queuedBytes: queuedBytes)
        case .flushesAll:
            queuedBytes = 0
            actions = state.flushed(queuedBytes: 0)
        case .writeEOF: actions = state.endedWriting(queuedBytes: queuedBytes)
        case .close: actions = state.closed(queuedBytes: queuedBytes)
        case .fail: actions = state.failed()
        }
        check(actions)
    }

    private mutating func check(_ actions: StreamTransportState.Actions) {
        if losses > 0, !actions.isEmpty { problem = "something is to be done after the loss" }
        if actions.contains(.discardQueue) { queuedBytes = 0 }
        if actions.contains(.startReading) {
            if isReading { problem = "reading was started twice" }
            isReading = true
        }
        if actions.contains(.stopReading) { isReading = false }
        if actions.contains(.pauseWriting) {
            if isPaused { problem = "writing was paused twice" }
            isPaused = true
        }
        if actions.contains(.resumeWriting) {
            if !isPaused { problem = "writing was resumed without a pause" }
            isPaused = false
        }
        if actions.contains(.shutdownWrite) {
            shutdowns += 1
            if queuedBytes > 0 { problem = "the end would overtake bytes" }
            if shutdowns > 1 { problem = "writing was ended twice" }
        }
        if actions.contains(.lose) {
            losses += 1
            if queuedBytes > 0 { problem = "the loss would drop bytes" }
            if isReading { problem = "the loss left reading on" }
        }
        if (state.life == .lost) != (losses == 1) { problem = "the state and its actions differ" }
        if state.life == .closing && queuedBytes == 0 { problem = "nothing ends this connection" }
    }
}
