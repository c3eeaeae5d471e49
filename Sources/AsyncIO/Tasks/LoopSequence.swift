/// An async sequence whose elements come from a loop, for `for await`.
///
/// The sequence is its own iterator. Its elements can be iterated once: a copy and a later iteration continue where the
/// first one ended. An iteration ends with the first `nil` and the first error. A task off the loop hops there for each
/// element. What the sequence retains is released with its last copy, on any thread.
public struct LoopSequence<Element, Failure: Error>: AsyncSequence, AsyncIteratorProtocol, CustomStringConvertible {
    @usableFromInline let source: AnyObject
    /// A function of the source, because an async closure with captures costs a further frame for each element.
    @usableFromInline let nextElement: (AnyObject) async throws(Failure) -> Element?
    @usableFromInline var hasEnded = false

    /// `nextElement` gets the source, and returns `nil` at the end.
    init(of source: AnyObject, _ nextElement: @escaping (AnyObject) async throws(Failure) -> Element?) {
        self.source = source
        self.nextElement = nextElement
    }

    /// Returns the sequence itself.
    public func makeAsyncIterator() -> Self { self }

    /// Waits for the next element; returns `nil` at the end of the sequence.
    // Compiled in the caller's module, where the type of the element is known.
    @inlinable public mutating func next() async throws(Failure) -> Element? {
        if hasEnded { return nil }
        hasEnded = true
        let element = try await nextElement(source)
        hasEnded = element == nil
        return element
    }

    /// As ``next()``, for `for await`.
    // It does not call `next()`, because in a module with default settings that costs a switch of executors.
    @inlinable
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(Failure) -> Element? {
        if hasEnded { return nil }
        hasEnded = true
        let element = try await nextElement(source)
        hasEnded = element == nil
        return element
    }

    /// Such as `<LoopSequence of String from <StreamReader fd=7 ...>>`.
    public var description: String { "<LoopSequence of \(Element.self) from \(source)>" }
}

@available(*, unavailable, message: "a sequence belongs to one task; create it in the task that iterates")
extension LoopSequence: Sendable {}
