/// Where the broker listens: `HOST:PORT` or `unix:PATH`.
struct ServerAddress: Equatable, Sendable {
    enum Place: Equatable, Sendable {
        case internet(host: String, port: UInt16)
        case unix(path: String)
    }

    /// As the user wrote it.
    let text: String
    let place: Place

    init(_ text: String) throws(ClientError) {
        self.text = text
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count < 108, !path.utf8.contains(0) else { throw .badAddress(text) }
            place = .unix(path: path)
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
