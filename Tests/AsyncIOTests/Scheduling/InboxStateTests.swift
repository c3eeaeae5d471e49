import Testing

@testable import AsyncIO

/// Walks through every order in which the steps of posters, of a loop and of its closing can happen. The flags are read
/// and written by the very `InboxState` that `ThreadsafeInbox` uses; each step here is one atomic operation, or one
/// critical section, of that.
struct InboxStateTests {
    // covers: 105, 109, 110
    @Test(arguments: [(1, 2, true), (2, 1, true), (2, 2, true), (3, 1, true), (2, 2, false), (3, 2, false)])
    func noOrderLosesAPost(posters: Int, posts: Int, closes: Bool) {
        let found = InboxModel.explore(posters: posters, postsEach: posts, closes: closes, rules: .library)
        #expect(found.problem == nil)
        #expect(found.states > 50)
    }

    @Test func theWalkFindsALoopThatSleepsWithoutLooking() {
        var rules = InboxModel.Rules.library
        rules.maySleep = { _ in true }
        #expect(InboxModel.explore(posters: 1, postsEach: 1, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func theWalkFindsAPosterThatDoesNotWake() {
        var rules = InboxModel.Rules.library
        rules.mustWake = { _ in false }
        #expect(InboxModel.explore(posters: 1, postsEach: 1, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func theWalkFindsATakeThatForgetsToClearPending() {
        var rules = InboxModel.Rules.library
        rules.takeClearsPending = false
        // The loop spins for ever rather than sleeping: it never comes to rest.
        #expect(InboxModel.explore(posters: 1, postsEach: 1, closes: false, rules: rules).problem == .neverRests)
    }

    @Test func theWalkFindsATakeThatClearsPendingOutsideTheLock() {
        var rules = InboxModel.Rules.library
        rules.takeIsOneStep = false
        #expect(InboxModel.explore(posters: 2, postsEach: 1, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func theWalkFindsALoopThatSleepsWithABacklog() {
        var rules = InboxModel.Rules.library
        rules.sleepsOnlyWithoutBacklog = false
        #expect(InboxModel.explore(posters: 1, postsEach: 2, closes: false, rules: rules).problem == .lostWakeUp)
    }

    @Test func theWalkFindsATakeThatReplacesTheBacklog() {
        var rules = InboxModel.Rules.library
        rules.takesOnlyWithoutBacklog = false
        #expect(InboxModel.explore(posters: 1, postsEach: 3, closes: false, rules: rules).problem != nil)
    }

    @Test func theWalkFindsACloseThatForgetsTheBacklog() {
        var rules = InboxModel.Rules.library
        rules.closeTakesBacklog = false
        #expect(InboxModel.explore(posters: 1, postsEach: 2, closes: true, rules: rules).problem == .postForgotten)
    }

    @Test func theWalkFindsAnInboxThatAcceptsPostsAfterItsClose() {
        var rules = InboxModel.Rules.library
        rules.refusesWhenClosed = false
        #expect(InboxModel.explore(posters: 1, postsEach: 1, closes: true, rules: rules).problem == .postForgotten)
    }

    /// Needed, so that a sleeping loop is woken once and not once per post.
    @Test func onlyTheFirstPostOfASleepWakes() {
        var state: InboxState = .asleep
        #expect(state.mustBeWokenByPost)
        state.formUnion(.posted)
        #expect(!state.mustBeWokenByPost)
        #expect(!state.maySleep)
        #expect(!InboxState().mustBeWokenByPost)
        #expect(InboxState().maySleep)
    }
}
