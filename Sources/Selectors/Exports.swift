// What selectors are asked for and report. They belong to a lower module, because proactors poll for them too.
@_exported public import struct AsyncIOSystem.Interest
@_exported public import struct AsyncIOSystem.Readiness
