/// Where something was scheduled, for reports. Costs nothing: the compiler fills it in.
public struct CallSite: Sendable, CustomStringConvertible {
    public var fileID: StaticString
    public var line: UInt

    public init(fileID: StaticString, line: UInt) {
        self.fileID = fileID
        self.line = line
    }

    public var description: String { "\(fileID):\(line)" }
}
