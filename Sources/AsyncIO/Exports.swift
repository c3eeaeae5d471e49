// Addresses, instants and I/O errors are part of this module's interface: one import is enough.
@_exported public import AsyncIOSystem

// What watchers and sockets are given, and what system calls fail with.
@_exported public import struct SystemPackage.Errno
@_exported public import struct SystemPackage.FileDescriptor
