/// The call site of a callback, a task or an object, for reports. It has no cost at run time, because the compiler
/// fills it in.
public struct CallSite: Sendable, CustomStringConvertible {
    public var fileID: StaticString
    public var line: UInt

    public init(fileID: StaticString, line: UInt) {
        self.fileID = fileID
        self.line = line
    }

    public var description: String { "\(fileID):\(line)" }
}
