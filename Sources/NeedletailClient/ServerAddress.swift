/// Where the broker listens: `HOST:PORT`, `unix:PATH`, or `shm:PATH` for shared memory that is asked for on the unix socket at PATH.
struct ServerAddress: Equatable, Sendable {
    enum Place: Equatable, Sendable {
        case internet(host: String, port: UInt16)
        case unix(path: String)
        case sharedMemory(path: String)
    }

    /// As the user wrote it.
    let text: String
    let place: Place

    var wantsLane: Bool { if case .sharedMemory = place { true } else { false } }

    init(_ text: String) throws(ClientError) {
        self.text = text
        for (prefix, make) in [("unix:", Place.unix(path:)), ("shm:", Place.sharedMemory(path:))] where text.hasPrefix(prefix) {
            let path = String(text.dropFirst(prefix.count))
            guard !path.isEmpty, path.utf8.count < 108, !path.utf8.contains(0) else { throw .badAddress(text) }
            place = make(path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else { throw .badAddress(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw .badAddress(text)
        }
        guard !host.isEmpty else { throw .badAddress(text) }
        place = .internet(host: String(host), port: port)
    }
}
