// Addresses, instants and I/O errors are part of this module's interface: one import is enough.
@_exported public import AsyncIOSystem

// What `readiness(of:for:)` speaks of.
@_exported public import struct Selectors.Readiness
