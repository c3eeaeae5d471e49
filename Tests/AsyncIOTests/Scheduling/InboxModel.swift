@testable import AsyncIO

/// A model of a loop that falls asleep while threads post: a graph of states, with the steps that are possible next.
struct InboxModel: Hashable {
    /// The rules of the protocol. Tests break one of them to show that the search finds the problem.
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
        /// The loop waits without a timeout although there is a post.
        case lostWakeUp
        /// There are no more posts, and the loop does not go to sleep.
        case neverSleeps
        /// A post was accepted, but neither run nor dropped by the close.
        case postForgotten
        /// One post was run twice.
        case runTwice
        /// A post was run before an earlier one of the same producer.
        case outOfOrder
    }

    private enum Producer: Hashable {
        /// Appends to the queue and sets the flag, under the lock.
        case posts
        /// Writes to the waker, outside the lock.
        case wakes
    }

    private enum Loop: Hashable {
        case announcesSleep
        case waits(mayBlock: Bool)
        case wakesUp
        case takes
        /// Runs the portion of an iteration of the posts that were taken.
        case runsPortion
        /// Only if the rules split the take into two steps.
        case clearsPending
        /// Drains the waker, after the take.
        case drains
        case closesInbox
        case takesLast
        case closed
    }

    private var flags: InboxState = []
    private var isClosed = false
    private var queue: [Int] = []
    /// Posts that were taken but not run yet.
    private var backlog: [Int] = []
    private var wakeIsThere = false
    private var loop = Loop.announcesSleep
    private var producers: [Producer]
    private var left: [Int]
    /// Posts that were accepted, but neither run nor dropped yet.
    private var untaken: Set<Int> = []
    private var closes: Bool
    /// The problem that the last step has caused.
    private var problem: Problem?

    /// Visits all reachable states, each once, until it finds a problem.
    static func explore(
        producers: Int, postsEach: Int, closes: Bool, rules: Rules
    ) -> (states: Int, problem: Problem?) {
        let start = InboxModel(
            producers: Array(repeating: .posts, count: producers), left: Array(repeating: postsEach, count: producers),
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
        let producersAreDone = left.allSatisfy { $0 == 0 } && !producers.contains(.wakes)
        guard producersAreDone else { return nil }
        switch loop {
        case .waits(mayBlock: true) where !wakeIsThere:
            return untaken.isEmpty ? nil : .lostWakeUp
        case .closed:
            return untaken.isEmpty ? nil : .postForgotten
        case .announcesSleep where queue.isEmpty && backlog.isEmpty && !closes && !rules.maySleep(flags):
            // There are no further posts, and none to take.
            return .neverSleeps
        default:
            return nil
        }
    }

    private func successors(_ rules: Rules) -> [InboxModel] {
        loopSteps(rules) + producers.indices.compactMap { producerStep($0, rules) }
    }

    private func producerStep(_ index: Int, _ rules: Rules) -> InboxModel? {
        var next = self
        switch producers[index] {
        case .posts:
            guard left[index] > 0 else { return nil }
            next.left[index] -= 1
            if isClosed && rules.refusesWhenClosed { return next }
            let post = index * 100 + left[index]
            next.queue.append(post)
            next.untaken.insert(post)
            let found = flags
            next.flags.formUnion(.pending)
            if rules.mustWake(found) { next.producers[index] = .wakes }
        case .wakes:
            next.wakeIsThere = true
            next.producers[index] = .posts
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
            // The owner may close the loop instead.
            var closing = self
            closing.loop = .closesInbox
            return [next, closing]
        case .waits:
            // A timer or a descriptor may end the wait at any time, so this step is always possible. `problemNow`
            // detects a loop that would hang without it.
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
            // The smallest portion, one post.
            if !backlog.isEmpty { next.run(next.backlog.removeFirst()) }
            next.loop = .announcesSleep
            // The owner may close the loop instead, with a backlog.
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

    /// Takes all posts, as `ThreadsafeInbox.take(into:)` does.
    private mutating func take() {
        backlog = queue
        queue = []
    }

    private mutating func runBacklog() {
        for post in backlog { run(post) }
        backlog = []
    }

    private mutating func run(_ post: Int) {
        // The numbers of one producer's posts count down.
        if untaken.contains(where: { $0 / 100 == post / 100 && $0 > post }) { problem = .outOfOrder }
        if untaken.remove(post) == nil { problem = .runTwice }
    }
}
