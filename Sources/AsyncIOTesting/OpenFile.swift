import CAsyncIO
package import SystemPackage

/// A file as it is open now, told from whatever has its number later.
///
/// The other end of a connection is no witness of a close: it hears of it only when the last duplicate is closed, and a
/// child that another test is starting may have one.
package struct OpenFile {
    private let number: CInt
    private let file: UInt64

    package init(_ descriptor: FileDescriptor) {
        number = descriptor.rawValue
        file = aio_file_number(descriptor.rawValue)
    }

    /// Whether this process has closed the descriptor.
    package var wasClosed: Bool { aio_file_number(number) != file }
}
