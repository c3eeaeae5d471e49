import AsyncIOSystem
import CAsyncIO
package import Proactors
package import Selectors
import SystemPackage

// The ladder: the back ends of this system, and which of them a loop gets.
extension LoopKind {
    /// The kinds of this system, best first, whether this process may use them or not.
    package static let ofThisSystem: [LoopKind] =
        (DefaultProactor.candidates.map { $0.name } + DefaultSelector.candidates.map { $0.name })
        .compactMap { LoopKind(rawValue: $0) }

    /// The kinds that `auto` does not choose, however good they are. This is the decision between io_uring and epoll:
    /// without io_uring in this set, `auto` chooses io_uring where it works.
    static let chosenByNameOnly: Set<LoopKind> = [.ioUring]

    /// The kinds that `auto` tries, best first.
    static let automatic = ofThisSystem.filter { !chosenByNameOnly.contains($0) }

    /// What a loop of some kind waits in.
    package enum BackEnd {
        case selector(any BaseSelector)
        case proactor(any BaseProactor)
    }

    /// Creates the back end of this kind of loop, for loops that wrap it. Throws what `makeLoop` throws.
    package func makeBackEnd() throws -> BackEnd {
        if self == .auto { return try Self.makeDefault(Self.environment) { try $0.makeBackEnd() } }
        do {
            return try create()
        } catch {
            throw BackEndFailure(error, of: rawValue)?.error ?? error
        }
    }

    /// Creates the back end, and tries it with a wait that does not block, because a sandbox may forbid its system
    /// calls. Throws the back end's own error.
    private func create() throws -> BackEnd {
        if let candidate = DefaultProactor.candidates.first(where: { $0.name == rawValue }) {
            // It is tried before it is created, because the first wait would bind it to this thread.
            return .proactor(try candidate.make())
        }
        if let candidate = DefaultSelector.candidates.first(where: { $0.name == rawValue }) {
            return .selector(try DefaultSelector.make(from: [candidate.make]))
        }
        throw EventLoopError.unsupported(
            feature: "the event loop '\(rawValue)'", platform: "this version of swift-asyncio on \(systemName)")
    }

    /// Creates a loop and waits with it. Throws the back end's own error.
    func tryOut() throws {
        let loop = try makeLoop(over: create())
        try loop.wait(timeoutNanoseconds: 0)
        try loop.close()
    }

    func makeLoop(over backEnd: BackEnd, clock: EventLoopClock = .system) throws -> EventLoop {
        switch backEnd {
        case .selector(let selector): try SelectorEventLoop(selector: selector, clock: clock)
        case .proactor(let proactor): try ProactorEventLoop(proactor: proactor, clock: clock)
        }
    }

    // MARK: The default

    /// The value of `ASYNCIO_LOOP`.
    static var environment: String? { aio_environment_value("ASYNCIO_LOOP").map { String(cString: $0) } }

    /// Returns the kind that a value of `ASYNCIO_LOOP` names; `nil` if the choice is automatic.
    static func named(_ value: String?) throws(EventLoopError) -> LoopKind? {
        guard let value, !value.isEmpty, value != auto.rawValue else { return nil }
        guard let kind = LoopKind(rawValue: value) else {
            throw EventLoopError(
                .invalidArgument,
                "ASYNCIO_LOOP is '\(value)', which is not the name of an event loop; use one of \(names())")
        }
        return kind
    }

    /// The names that this system has, `auto` first, in a sentence.
    package static func names(except kind: LoopKind? = nil) -> String {
        ([.auto] + ofThisSystem.filter { $0 != kind }).map(\.rawValue).joined(separator: ", ")
    }

    /// Creates what `auto` stands for: the kind that `environment` names, otherwise the best one that works.
    static func makeDefault<Made>(_ environment: String?, _ make: (LoopKind) throws -> Made) throws -> Made {
        guard let kind = try named(environment) else { return try makeBest(of: automatic, make) }
        do {
            return try make(kind)
        } catch let error as EventLoopError where error.code == .unsupported {
            throw EventLoopError(.unsupported, "ASYNCIO_LOOP: \(error); use one of \(names(except: kind))")
        }
    }

    /// Creates the first of `kinds` that the system does not refuse. If it refuses all of them, throws the error of the
    /// first one.
    static func makeBest<Made>(of kinds: [LoopKind], _ make: (LoopKind) throws -> Made) throws -> Made {
        var refusal: (any Error)?
        for kind in kinds {
            do {
                return try make(kind)
            } catch {
                // A temporary failure, such as too many open files, is no reason to use a slower selector. But a ring
                // also needs memory that is limited separately, so the other kinds may work without it.
                let isRefused = (error as? EventLoopError)?.code == .unsupported
                guard isRefused || kind == .ioUring else { throw error }
                refusal = refusal ?? error
            }
        }
        throw refusal ?? EventLoopError.unsupported(feature: "every event loop", platform: systemName)
    }
}
