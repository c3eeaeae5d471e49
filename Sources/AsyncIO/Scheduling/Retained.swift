/// A strong reference that its owner can lend without a further retain and release, for calls per message.
struct Retained<Object: AnyObject>: ~Copyable {
    private let reference: Unmanaged<Object>?

    init(_ object: Object?) { reference = object.map(Unmanaged.passRetained) }
    deinit { reference?.release() }

    @inline(__always) var object: Object? { reference?.takeUnretainedValue() }

    /// Unretained: something else must keep it alive.
    @inline(__always) var unretained: Unmanaged<Object>? { reference }

    /// Replaces the object. The former one is released after that.
    mutating func replace(by object: Object?) {
        var former = Retained(object)
        swap(&self, &former)
    }
}
