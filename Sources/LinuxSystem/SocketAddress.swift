internal import CLinux
internal import Glibc

/// Where a socket is bound or connected to.
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address in host order.
    case ipv4(UInt32, port: UInt16)
    case ipv6(InternetAddress6, port: UInt16)
    case unix(path: String)
    /// A unix socket without a name: the connecting side.
    case unnamed

    package struct InternetAddress6: Hashable, Sendable {
        package var high: UInt64
        package var low: UInt64
        package var scope: UInt32
    }

    /// A numeric IPv4 or IPv6 address; nil for anything else.
    package init?(host: String, port: UInt16) {
        var four = in_addr()
        var six = in6_addr()
        // Safety: inet_pton fills exactly the struct of the family it is told.
        if unsafe inet_pton(AF_INET, host, &four) == 1 {
            self = .ipv4(UInt32(bigEndian: four.s_addr), port: port)
        } else if unsafe inet_pton(AF_INET6, host, &six) == 1 {
            self = .ipv6(SocketAddress.number(six, scope: 0), port: port)
        } else {
            return nil
        }
    }

    /// The addresses of a host name, by the system's resolver; blocks.
    package static func resolve(host: String, port: UInt16) throws(ResolveError) -> [SocketAddress] {
        if let numeric = SocketAddress(host: host, port: port) { return [numeric] }
        var found: [SocketAddress] = []
        // Safety: the C function calls back only before it returns; the context is the local array.
        let code = unsafe withUnsafeMutablePointer(to: &found) { found in
            unsafe sys_resolve(host, String(port), found) { context, address, length in
                let found = unsafe context.unsafelyUnwrapped.assumingMemoryBound(to: [SocketAddress].self)
                guard let address = unsafe address, let decoded = unsafe SocketAddress(address, Int(length)) else { return }
                unsafe found.pointee.append(decoded)
            }
        }
        // Safety: a static string.
        guard code == 0 else { throw ResolveError(host: host, reason: unsafe String(cString: sys_resolve_error(code))) }
        return found
    }

    package struct ResolveError: Error, Sendable, CustomStringConvertible {
        package var host: String
        package var reason: String
        package var description: String { "\(host): \(reason)" }
    }

    package var isLoopback: Bool {
        switch self {
        case .ipv4(let address, _): address >> 24 == 127
        case .ipv6(let address, _):
            address.high == 0 && (address.low == 1 || (address.low >> 32 == 0xffff && (address.low >> 24) & 0xff == 127))
        case .unix, .unnamed: true
        }
    }

    package var port: UInt16? {
        switch self {
        case .ipv4(_, let port), .ipv6(_, let port): port
        case .unix, .unnamed: nil
        }
    }

    /// The numeric host without the port; the path of a unix socket.
    package var host: String {
        switch self {
        case .ipv4(let address, _): return (0..<4).map { String((address >> (24 - 8 * $0)) & 0xff) }.joined(separator: ".")
        case .ipv6(let address, _):
            var bytes = SocketAddress.bytes(of: address)
            // Safety: inet_ntop writes at most INET6_ADDRSTRLEN bytes with a terminating zero.
            return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
                guard unsafe inet_ntop(AF_INET6, &bytes, text.baseAddress, socklen_t(text.count)) != nil else { return "?" }
                return unsafe String(cString: text.baseAddress.unsafelyUnwrapped)
            }
        case .unix(let path): return path
        case .unnamed: return "unnamed"
        }
    }

    package var description: String {
        switch self {
        case .ipv4(_, let port): "\(host):\(port)"
        case .ipv6(_, let port): "[\(host)]:\(port)"
        case .unix(let path): "unix:\(path)"
        case .unnamed: "unix"
        }
    }

    var family: Int32 {
        switch self {
        case .ipv4: Int32(SYS_INET)
        case .ipv6: Int32(SYS_INET6)
        case .unix, .unnamed: Int32(SYS_UNIX)
        }
    }

    /// The longest path of a unix socket, its terminating zero not counted.
    package static let unixPathMax = 107

    /// Lends the address in the system's form.
    func withSystemForm<R>(_ body: (UnsafeRawPointer, UInt32) throws(Errno) -> R) throws(Errno) -> R {
        switch self {
        case .ipv4(let address, let port):
            var form = sockaddr_in()
            form.sin_family = sa_family_t(AF_INET)
            form.sin_port = port.bigEndian
            form.sin_addr.s_addr = address.bigEndian
            // Safety of the three: the struct lives through `body`.
            return unsafe try lend(&form, body)
        case .ipv6(let address, let port):
            var form = sockaddr_in6()
            form.sin6_family = sa_family_t(AF_INET6)
            form.sin6_port = port.bigEndian
            form.sin6_addr = SocketAddress.bytes(of: address)
            form.sin6_scope_id = address.scope
            return unsafe try lend(&form, body)
        case .unix(let path):
            guard path.utf8.count <= SocketAddress.unixPathMax, !path.utf8.contains(0) else { throw .nameTooLong }
            var form = sockaddr_un()
            form.sun_family = sa_family_t(AF_UNIX)
            // Safety: the path was checked to fit with its zero.
            unsafe withUnsafeMutableBytes(of: &form.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
            return unsafe try lend(&form, body)
        case .unnamed: throw .invalid
        }
    }

    private func lend<Form, R>(_ form: inout Form, _ body: (UnsafeRawPointer, UInt32) throws(Errno) -> R) throws(Errno) -> R {
        // Safety: `form` is borrowed through `body`.
        try unsafe withUnsafePointer(to: &form) { (pointer: UnsafePointer<Form>) throws(Errno) -> R in
            try unsafe body(UnsafeRawPointer(pointer), UInt32(MemoryLayout<Form>.size))
        }
    }

    /// Reads the system's form; nil for families that this program does not use.
    init?(_ pointer: UnsafeRawPointer, _ length: Int) {
        guard length >= MemoryLayout<sa_family_t>.size else { return nil }
        // Safety: lengths are checked before each load; unaligned loads are used.
        switch Int32(unsafe pointer.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            let form = unsafe pointer.loadUnaligned(as: sockaddr_in.self)
            self = .ipv4(UInt32(bigEndian: form.sin_addr.s_addr), port: UInt16(bigEndian: form.sin_port))
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            let form = unsafe pointer.loadUnaligned(as: sockaddr_in6.self)
            self = .ipv6(SocketAddress.number(form.sin6_addr, scope: form.sin6_scope_id), port: UInt16(bigEndian: form.sin6_port))
        case AF_UNIX:
            let path = unsafe UnsafeRawBufferPointer(start: pointer + 2, count: length - 2).prefix { $0 != 0 }
            let text = unsafe String(decoding: path, as: UTF8.self)
            self = text.isEmpty ? .unnamed : .unix(path: text)
        default: return nil
        }
    }

    private static func number(_ bytes: in6_addr, scope: UInt32) -> InternetAddress6 {
        // Safety: the struct is 16 bytes; unaligned loads are used.
        unsafe withUnsafeBytes(of: bytes) { raw in
            unsafe InternetAddress6(
                high: UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)), low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                scope: scope)
        }
    }

    private static func bytes(of address: InternetAddress6) -> in6_addr {
        var bytes = in6_addr()
        // Safety: the struct is 16 bytes.
        unsafe withUnsafeMutableBytes(of: &bytes) { raw in
            unsafe raw.storeBytes(of: address.high.bigEndian, as: UInt64.self)
            unsafe raw.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return bytes
    }
}
