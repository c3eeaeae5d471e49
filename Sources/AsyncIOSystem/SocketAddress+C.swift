package import CAsyncIO

/// Conversion from and to the C structures.
extension SocketAddress {
    static func ipv6Storage(_ address: in6_addr, port: UInt16, scope: UInt32) -> Storage {
        withUnsafeBytes(of: address) {
            .ipv6(
                high: UInt64(bigEndian: $0.load(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: $0.load(fromByteOffset: 8, as: UInt64.self)), scope: scope, port: port)
        }
    }

    /// Creates an address from a structure that the kernel or the resolver has written; `nil` for an unsupported
    /// family.
    package init?(_ storage: sockaddr_storage, length: socklen_t) {
        var copy = storage
        let address = withUnsafeBytes(of: &copy) { Self.storage(at: $0.baseAddress!, byteCount: Int(length)) }
        guard let address else { return nil }
        self.init(storage: address)
    }

    /// As `init(_:length:)`, for a structure of `byteCount` bytes in memory that has room for any address.
    package init?(at memory: UnsafeRawPointer, byteCount: Int) {
        guard byteCount > 0, let address = Self.storage(at: memory, byteCount: byteCount) else { return nil }
        self.init(storage: address)
    }

    @inline(__always) private static func storage(at memory: UnsafeRawPointer, byteCount: Int) -> Storage? {
        switch CInt(memory.load(as: sockaddr.self).sa_family) {
        case AF_INET:
            let ipv4 = memory.load(as: sockaddr_in.self)
            return .ipv4(UInt32(bigEndian: ipv4.sin_addr.s_addr), port: UInt16(bigEndian: ipv4.sin_port))
        case AF_INET6:
            let ipv6 = memory.load(as: sockaddr_in6.self)
            let address = ipv6Storage(
                ipv6.sin6_addr, port: UInt16(bigEndian: ipv6.sin6_port), scope: ipv6.sin6_scope_id)
            return ipv6.sin6_flowinfo == 0 ? address : .flow(UInt32(bigEndian: ipv6.sin6_flowinfo), of: address)
        case AF_UNIX:
            return unixStorage(at: memory, byteCount: byteCount)
        default:
            return nil
        }
    }

    private static func unixStorage(at memory: UnsafeRawPointer, byteCount: Int) -> Storage {
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let end = min(max(byteCount, offset), MemoryLayout<sockaddr_storage>.size)
        let path = Array(UnsafeRawBufferPointer(start: memory + offset, count: end - offset))
        // A path ends with a zero byte. An abstract name begins with one, and the structure's length is its end.
        return .unix(path.first == 0 ? path : Array(path.prefix { $0 != 0 }))
    }

    /// Calls `body` with the address as the C structure that system calls take.
    package func withCAddress<Result>(_ body: (UnsafePointer<sockaddr_storage>, socklen_t) -> Result) -> Result {
        var storage = sockaddr_storage()
        let length = withUnsafeMutableBytes(of: &storage) { write(to: $0.baseAddress!) }
        return withUnsafePointer(to: &storage) { body($0, socklen_t(length)) }
    }

    /// Writes the C structure that system calls take to memory with room for any address, and returns its size. What
    /// follows it in the memory is not changed.
    package func write(to memory: UnsafeMutableRawPointer) -> Int {
        switch storage {
        case .ipv4(let address, let port):
            var ipv4 = sockaddr_in()
            ipv4.sin_family = sa_family_t(AF_INET)
            ipv4.sin_port = port.bigEndian
            ipv4.sin_addr.s_addr = address.bigEndian
            memory.storeBytes(of: ipv4, as: sockaddr_in.self)
            return MemoryLayout<sockaddr_in>.size
        case .ipv6(let high, let low, let scope, let port):
            var ipv6 = sockaddr_in6()
            ipv6.sin6_family = sa_family_t(AF_INET6)
            ipv6.sin6_port = port.bigEndian
            ipv6.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &ipv6.sin6_addr) {
                $0.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            memory.storeBytes(of: ipv6, as: sockaddr_in6.self)
            return MemoryLayout<sockaddr_in6>.size
        case .flow(let flow, let rest):
            let size = SocketAddress(storage: rest).write(to: memory)
            let offset = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_flowinfo) ?? 4
            memory.storeBytes(of: flow.bigEndian, toByteOffset: offset, as: UInt32.self)
            return size
        case .unix(let path):
            let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
            memory.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
            let fitting = path.prefix(MemoryLayout<sockaddr_un>.size - offset)
            UnsafeMutableRawBufferPointer(start: memory + offset, count: fitting.count).copyBytes(from: fitting)
            return offset + fitting.count
        }
    }

    /// The room that any address needs.
    package static var mostBytes: Int { MemoryLayout<sockaddr_storage>.size }

    var cFamily: CInt { family.cFamily }

    /// Calls `body` with the path of a unix socket as C functions take it. Returns `nil` for any other address.
    package func withUnixPath<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result? {
        guard case .unix(let path) = storage, let first = path.first, first != 0 else { return nil }
        return (path + [0]).withUnsafeBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.map(body) }
        }
    }

    /// The most bytes of the path of a unix socket, without its terminating zero byte, and of an abstract name.
    package static let longestUnixPathBytes =
        MemoryLayout<sockaddr_un>.size - (MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2) - 1
}
