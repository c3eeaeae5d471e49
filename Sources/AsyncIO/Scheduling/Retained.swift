/// A reference that its owner lends without retaining it once more, where a call is made for every message.
struct Retained<Object: AnyObject>: ~Copyable {
    private let reference: Unmanaged<Object>?

    init(_ object: Object?) {
        reference = object.map(Unmanaged.passRetained)
    }

    deinit {
        reference?.release()
    }

    @inline(__always)
    var object: Object? { reference?.takeUnretainedValue() }

    /// The object, for as long as something else makes sure that it lives.
    @inline(__always)
    var unretained: Unmanaged<Object>? { reference }

    /// The former object is released when this one is in place.
    mutating func replace(by object: Object?) {
        var former = Retained(object)
        swap(&self, &former)
    }
}
