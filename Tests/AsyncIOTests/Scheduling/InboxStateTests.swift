import Testing

@testable import AsyncIO

/// Searches every order of the steps of producers, of a loop and of its close. The decisions are those of the
/// `InboxState` that `ThreadsafeInbox` uses. Each step of the model is one atomic operation or one critical section of
/// `ThreadsafeInbox`.
struct InboxStateTests {
    // covers: 105, 109, 110
    @Test(arguments: [(1, 2, true), (2, 1, true), (2, 2, true), (3, 1, true), (2, 2, false), (3, 2, false)])
    func noOrderOfStepsLosesAPost(producers: Int, posts: Int, closes: Bool) {
        let found = InboxModel.explore(producers: producers, postsEach: posts, closes: closes, rules: .library)
        #expect(found.problem == nil)
        #expect(found.states > 50)
    }

    @Test func searchFindsALoopThatSleepsWithoutCheckingPending() {
        var rules = InboxModel.Rules.library
        rules.maySleep = { _ in true }
        #expect(InboxModel.explore(producers: 1, postsEach: 1, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func searchFindsAProducerThatDoesNotWakeTheLoop() {
        var rules = InboxModel.Rules.library
        rules.mustWake = { _ in false }
        #expect(InboxModel.explore(producers: 1, postsEach: 1, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func searchFindsATakeThatDoesNotClearPending() {
        var rules = InboxModel.Rules.library
        rules.takeClearsPending = false
        // The loop spins and never sleeps.
        #expect(InboxModel.explore(producers: 1, postsEach: 1, closes: false, rules: rules).problem == .neverSleeps)
    }

    @Test func searchFindsATakeThatClearsPendingOutsideTheLock() {
        var rules = InboxModel.Rules.library
        rules.takeIsOneStep = false
        #expect(InboxModel.explore(producers: 2, postsEach: 1, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func searchFindsALoopThatSleepsWithABacklog() {
        var rules = InboxModel.Rules.library
        rules.sleepsOnlyWithoutBacklog = false
        #expect(InboxModel.explore(producers: 1, postsEach: 2, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func searchFindsATakeThatReplacesTheBacklog() {
        var rules = InboxModel.Rules.library
        rules.takesOnlyWithoutBacklog = false
        #expect(InboxModel.explore(producers: 1, postsEach: 3, closes: false, rules: rules).problem != nil)
    }

    @Test func searchFindsACloseThatIgnoresTheBacklog() {
        var rules = InboxModel.Rules.library
        rules.closeTakesBacklog = false
        #expect(InboxModel.explore(producers: 1, postsEach: 2, closes: true, rules: rules).problem == .postForgotten)
    }

    @Test func searchFindsAnInboxThatAcceptsPostsAfterItsClose() {
        var rules = InboxModel.Rules.library
        rules.refusesWhenClosed = false
        #expect(InboxModel.explore(producers: 1, postsEach: 1, closes: true, rules: rules).problem == .postForgotten)
    }

    /// So a sleeping loop is woken once instead of once per post.
    @Test func onlyTheFirstPostWakesASleepingLoop() {
        var state: InboxState = .asleep
        #expect(state.mustBeWokenByPost)
        state.formUnion(.pending)
        #expect(!state.mustBeWokenByPost)
        #expect(!state.maySleep)
        #expect(!InboxState().mustBeWokenByPost)
        #expect(InboxState().maySleep)
    }
}
