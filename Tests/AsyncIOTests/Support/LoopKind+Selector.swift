import AsyncIO
import Selectors

extension LoopKind {
    /// The selector of this kind of loop, to wrap another one around it.
    func makeSelector() throws -> any BaseSelector {
        switch self {
        #if os(Linux)
        case .epoll: return try EpollSelector()
        #else
        case .kqueue: return try KqueueSelector()
        #endif
        case .poll: return PollSelector()
        case .select: return SelectSelector()
        default: return try DefaultSelector.make()
        }
    }
}
