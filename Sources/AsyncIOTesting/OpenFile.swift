import CAsyncIO
package import SystemPackage

/// An open file, which can be distinguished from a later file with the same descriptor number.
///
/// The peer of a connection cannot show that the descriptor was closed, because it gets EOF only when the last
/// duplicate is closed, and a child process that another test is starting may have one.
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
