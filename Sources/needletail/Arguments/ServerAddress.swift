/// Where a broker listens: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`; for clients also `shm:PATH`, shared memory asked for on that unix socket.
enum ServerAddress: Equatable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: UInt16)
    case unix(path: String)
    case sharedMemory(path: String)

    /// The native listener of a broker that was told nothing.
    static let native = ServerAddress.tcp(host: "127.0.0.1", port: 7227)
    /// The longest path that the system takes for a unix socket.
    static let unixPathMax = 107

    init?(_ text: String) {
        guard !text.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7f }) else { return nil }
        for (prefix, make) in [("unix:", ServerAddress.unix(path:)), ("shm:", ServerAddress.sharedMemory(path:))] where text.hasPrefix(prefix) {
            let path = String(text.dropFirst(prefix.count))
            guard !path.isEmpty, path.utf8.count <= ServerAddress.unixPathMax else { return nil }
            self = make(path)
            return
        }
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }

    var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        case .sharedMemory(let path): "shm:\(path)"
        }
    }
}
