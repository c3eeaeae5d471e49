import AsyncIOSystem
package import Proactors
package import Selectors
import SystemPackage

/// A kind of event loop, named after its back end. More kinds may be added.
public struct LoopKind: Sendable, Hashable, CaseIterable, RawRepresentable, CustomStringConvertible {
    /// The name on the command line, such as `io_uring`.
    public let rawValue: String

    private init(_ name: String) { rawValue = name }

    /// The kind with this name; `nil` if this version knows none.
    public init?(rawValue: String) {
        guard let kind = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = kind
    }

    /// The best kind that this system allows.
    public static let auto = LoopKind("auto")
    /// Readiness by epoll(7), of Linux.
    public static let epoll = LoopKind("epoll")
    /// Readiness by poll(2).
    public static let poll = LoopKind("poll")
    /// Readiness by select(2).
    public static let select = LoopKind("select")
    /// Readiness by kqueue(2), of macOS and the BSDs.
    public static let kqueue = LoopKind("kqueue")
    /// Completion by io_uring(7), of Linux.
    public static let ioUring = LoopKind("io_uring")
    /// Completion by I/O completion ports, of Windows.
    public static let iocp = LoopKind("iocp")

    /// The kinds that this version knows by name, `auto` first.
    public static let allCases: [LoopKind] = [.auto, .epoll, .poll, .select, .kqueue, .ioUring, .iocp]

    /// The kinds that this system and this version support, best first.
    public static var available: [LoopKind] { DefaultSelector.candidates.compactMap { LoopKind(rawValue: $0.name) } }

    /// Creates a loop of this kind. Throws `.unsupported` if the system lacks it, and what the loop's `init` throws.
    public func makeLoop(clock: EventLoopClock = .system) throws -> EventLoop {
        do {
            switch try makeBackEnd() {
            case .selector(let selector): return try SelectorEventLoop(selector: selector, clock: clock)
            case .proactor(let proactor): return try ProactorEventLoop(proactor: proactor, clock: clock)
            }
        } catch let error as Errno {
            let part = self == .ioUring ? "proactor" : "selector"
            throw IOError(error, operation: "create the \(part) of an event loop")
        }
    }

    /// What a loop of some kind waits in.
    package enum BackEnd {
        case selector(any BaseSelector)
        case proactor(any BaseProactor)
    }

    /// Creates the back end of this kind of loop, for loops that wrap it. Throws as `makeLoop` does, and an `Errno`.
    package func makeBackEnd() throws -> BackEnd {
        if self == .auto { return .selector(try DefaultSelector.make()) }
        #if os(Linux)
        if self == .ioUring {
            do {
                return .proactor(try IOUringProactor())
            } catch {
                // A temporary failure, such as too many open files, does not mean that the system lacks it.
                guard DefaultSelector.isRefusal(error.errno) else { throw error.errno }
                throw EventLoopError(.unsupported, "the event loop 'io_uring': \(error)")
            }
        }
        #endif
        guard let candidate = DefaultSelector.candidates.first(where: { $0.name == rawValue }) else {
            throw EventLoopError.unsupported(
                feature: "the event loop '\(rawValue)'", platform: "this version of swift-asyncio on \(systemName)")
        }
        return .selector(try candidate.make())
    }

    /// The ``rawValue``.
    public var description: String { rawValue }
}

// The name of the system in messages.
#if os(Linux)
let systemName = "Linux"
#elseif os(macOS)
let systemName = "macOS"
#else
let systemName = "this system"
#endif
