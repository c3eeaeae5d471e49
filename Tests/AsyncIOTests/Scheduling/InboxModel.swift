@testable import AsyncIO

/// The sleep of a loop, as a graph of states: who may make which step next.
struct InboxModel: Hashable {
    /// What the walk may break on purpose, to see that it notices.
    struct Rules {
        var maySleep: (InboxState) -> Bool
        var mustWake: (InboxState) -> Bool
        var takeClearsPending = true
        var takeIsOneStep = true
        var sleepsOnlyWithoutBacklog = true
        var takesOnlyWithoutBacklog = true
        var closeTakesBacklog = true
        var refusesWhenClosed = true

        static var library: Rules {
            Rules(maySleep: { $0.maySleep }, mustWake: { $0.mustBeWokenByPost })
        }
    }

    enum Problem {
        /// The loop waits without end, and something was posted.
        case lostWakeUp
        /// Everything was posted, and the loop does not go to sleep.
        case neverRests
        /// A post was accepted, and neither run nor dropped by the close.
        case postForgotten
        /// One post was run twice.
        case runTwice
        /// A post was run before an earlier one of the same poster.
        case outOfOrder
    }

    private enum Poster: Hashable {
        /// Adds to the queue and sets the flag, under the lock.
        case posts
        /// Writes to the waker, outside of the lock.
        case wakes
    }

    private enum Loop: Hashable {
        case announcesSleep
        case waits(mayBlock: Bool)
        case wakesUp
        case takes
        /// The iteration's portion of what was taken.
        case runsPortion
        /// Only where the rules cut the take in two.
        case clearsPending
        /// The waker's turn, which comes after the take.
        case drains
        case closesInbox
        case takesLast
        case closed
    }

    private var flags: InboxState = []
    private var isClosed = false
    private var queue: [Int] = []
    /// Taken and not yet run.
    private var backlog: [Int] = []
    private var wakeIsThere = false
    private var loop = Loop.announcesSleep
    private var posters: [Poster]
    private var left: [Int]
    /// Accepted, and neither run nor dropped.
    private var untaken: Set<Int> = []
    private var closes: Bool
    /// What the last step did wrong.
    private var problem: Problem?

    /// All states that can be reached, each once, and the first problem found.
    static func explore(posters: Int, postsEach: Int, closes: Bool, rules: Rules) -> (states: Int, problem: Problem?) {
        let start = InboxModel(
            posters: Array(repeating: .posts, count: posters), left: Array(repeating: postsEach, count: posters),
            closes: closes)
        var seen: Set<InboxModel> = [start]
        var open = [start]
        while let state = open.popLast() {
            if let problem = state.problemNow(rules) { return (seen.count, problem) }
            for next in state.successors(rules) {
                if let problem = next.problem { return (seen.count, problem) }
                if seen.insert(next).inserted { open.append(next) }
            }
        }
        return (seen.count, nil)
    }

    private func problemNow(_ rules: Rules) -> Problem? {
        let postersAreDone = left.allSatisfy { $0 == 0 } && !posters.contains(.wakes)
        guard postersAreDone else { return nil }
        switch loop {
        case .waits(mayBlock: true) where !wakeIsThere:
            return untaken.isEmpty ? nil : .lostWakeUp
        case .closed:
            return untaken.isEmpty ? nil : .postForgotten
        case .announcesSleep where queue.isEmpty && backlog.isEmpty && !closes && !rules.maySleep(flags):
            // Nobody posts any more, and there is nothing to take.
            return .neverRests
        default:
            return nil
        }
    }

    private func successors(_ rules: Rules) -> [InboxModel] {
        loopSteps(rules) + posters.indices.compactMap { posterStep($0, rules) }
    }

    private func posterStep(_ index: Int, _ rules: Rules) -> InboxModel? {
        var next = self
        switch posters[index] {
        case .posts:
            guard left[index] > 0 else { return nil }
            next.left[index] -= 1
            if isClosed && rules.refusesWhenClosed { return next }
            let post = index * 100 + left[index]
            next.queue.append(post)
            next.untaken.insert(post)
            let found = flags
            next.flags.formUnion(.posted)
            if rules.mustWake(found) { next.posters[index] = .wakes }
        case .wakes:
            next.wakeIsThere = true
            next.posters[index] = .posts
        }
        return next
    }

    private func loopSteps(_ rules: Rules) -> [InboxModel] {
        var next = self
        switch loop {
        case .announcesSleep:
            let found = flags
            next.flags.insert(.asleep)
            next.loop = .waits(mayBlock: rules.maySleep(found))
            guard closes else { return [next] }
            // Or the owner closes it instead.
            var closing = self
            closing.loop = .closesInbox
            return [next, closing]
        case .waits:
            // A timer or a descriptor may end the wait at any time, so the step is always there; that the loop would
            // hang without one is what `problemNow` sees.
            next.loop = .wakesUp
        case .wakesUp:
            next.flags.remove(.asleep)
            next.loop = .takes
        case .takes:
            next.loop = .drains
            guard flags.contains(.pending), backlog.isEmpty || !rules.takesOnlyWithoutBacklog else { return [next] }
            next.take()
            if !rules.takeIsOneStep {
                next.loop = .clearsPending
            } else if rules.takeClearsPending {
                next.flags.remove(.pending)
            }
        case .clearsPending:
            next.flags.remove(.pending)
            next.loop = .drains
        case .drains:
            next.wakeIsThere = false
            next.loop = .runsPortion
        case .runsPortion:
            // The smallest there is: one.
            if !backlog.isEmpty { next.run(next.backlog.removeFirst()) }
            next.loop = .announcesSleep
            // The owner may close it instead.
            guard !next.backlog.isEmpty, rules.sleepsOnlyWithoutBacklog else { return [next] }
            next.loop = .takes
            guard closes else { return [next] }
            var closing = next
            closing.loop = .closesInbox
            return [next, closing]
        case .closesInbox:
            next.isClosed = true
            next.loop = .takesLast
        case .takesLast:
            if rules.closeTakesBacklog { next.runBacklog() } else { next.backlog = [] }
            if flags.contains(.pending) {
                next.take()
                next.flags.remove(.pending)
            }
            next.runBacklog()
            next.loop = .closed
        case .closed:
            return []
        }
        return [next]
    }

    /// Exchanges the buffers, as `ThreadsafeInbox.take(into:)` does.
    private mutating func take() {
        backlog = queue
        queue = []
    }

    private mutating func runBacklog() {
        for post in backlog { run(post) }
        backlog = []
    }

    private mutating func run(_ post: Int) {
        // The posts of one poster count down.
        if untaken.contains(where: { $0 / 100 == post / 100 && $0 > post }) { problem = .outOfOrder }
        if untaken.remove(post) == nil { problem = .runTwice }
    }
}
