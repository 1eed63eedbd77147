package import BrokerCore
package import ConfigFile
package import SegmentLog

/// One protocol: its name, its options, and a session for each connection.
package protocol WireProtocol: Sendable {
    /// The `protocol:` of a listener.
    static var name: String { get }
    /// Reads the listener's own keys.
    init(_ options: ConfigSection) throws(ConfigError)
    func makeSession(_ peer: Peer) -> any WireSession
}

/// The protocol side of one connection: takes bytes, answers and the time; gives bytes and requests. It never sees a socket.
package protocol WireSession: AnyObject {
    /// Consumes whole frames from the front of `input` and answers how many bytes it used. Ranges in the requests that it makes
    /// count from the start of `input`. What it asked for before it throws is meant.
    func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int
    /// How many bytes the frame at the front of the unconsumed input needs in all, where that is known: the connection reserves
    /// as much. 0 when unknown.
    var bytesWanted: Int { get }
    /// Whether whole frames are left unread because too many requests are unanswered. When answers have ended that, `receive` is
    /// called again with what was left.
    var isHolding: Bool { get }
    func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput)
    func deliver(_ delivery: Delivery, _ output: inout SessionOutput)
    func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput)
    /// Called about once a second: keep-alive, time-outs.
    func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError)
    /// The server is going down: say so in the protocol's own words.
    func shutDown(_ output: inout SessionOutput)
}

extension WireSession {
    package var isHolding: Bool { false }
}

/// Who is at the other end.
package struct Peer: Sendable {
    package var address: String
    package var isLocal: Bool
    /// What the session is allowed to grow to.
    package var limits: Limits
    /// Whom the peer has reached.
    package var server: ServerIdentity
    package init(address: String, isLocal: Bool, limits: Limits, server: ServerIdentity = ServerIdentity()) {
        self.address = address
        self.isLocal = isLocal
        self.limits = limits
        self.server = server
    }
}

/// What a session says of the server in its greeting.
package struct ServerIdentity: Sendable, Equatable {
    package var name: String
    package var version: String
    package var node: Int32
    package var shards: Int32
    package init(name: String = "needletail", version: String = "0.1.0", node: Int32 = 0, shards: Int32 = 1) {
        self.name = name
        self.version = version
        self.node = node
        self.shards = shards
    }
}

/// The peer's fault: said in the protocol's own words where it has some (the session has put them in its output), then the
/// connection is closed.
package struct ProtocolError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A short kind for counters and log lines, without bytes of the peer: `frameTooLarge`, `truncatedFrame`.
    package var kind: String
    package var text: String
    package init(_ kind: String, _ text: String) {
        self.kind = kind
        self.text = text
    }
    package var description: String { "\(kind): \(text)" }
}
