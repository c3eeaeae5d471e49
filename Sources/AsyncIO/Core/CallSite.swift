/// The call site of a callback, a task or an object, for reports. The compiler fills it in, at no cost at run time.
public struct CallSite: Sendable, CustomStringConvertible {
    /// The file, as `Module/File.swift`.
    public var fileID: StaticString
    /// The line, from 1 on.
    public var line: UInt

    /// Creates a call site, usually from `#fileID` and `#line`.
    public init(fileID: StaticString, line: UInt) {
        self.fileID = fileID
        self.line = line
    }

    public var description: String { "\(fileID):\(line)" }
}
