package import BrokerCore
package import ConfigFile
package import SegmentLog

/// One protocol: its name, its options, and a session for each connection.
package protocol WireProtocol: Sendable {
    /// The `protocol:` of a listener.
    static var name: String { get }
    /// Whether each shard listens by itself: shard k on the listener's port + k. Otherwise all shards share the port, and the system
    /// deals connections out. For protocols whose clients go where a topic is.
    static var listensPerShard: Bool { get }
    /// Reads the listener's own keys.
    init(_ options: ConfigSection) throws(ConfigError)
    func makeSession(_ peer: Peer) -> any WireSession
}

extension WireProtocol {
    package static var listensPerShard: Bool { false }
}

/// The protocol side of one connection: takes bytes, answers and the time; gives bytes and requests. It never sees a socket.
package protocol WireSession: AnyObject {
    /// Consumes whole frames from the front of `input` and answers how many bytes it used. Ranges in the requests that it makes
    /// count from the start of `input`. What it asked for before it throws is meant.
    func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int
    /// How many bytes the frame at the front of the unconsumed input needs in all, where that is known: the connection reserves
    /// as much. 0 when unknown.
    var bytesWanted: Int { get }
    /// Whether the peer has shown that it speaks the protocol: until then the connection is in its handshake.
    var isEstablished: Bool { get }
    /// Whether whole frames are left unread because too many requests are unanswered. When answers have ended that, `receive` is
    /// called again with what was left.
    var isHolding: Bool { get }
    /// Whether it has stopped at a request that may take long, or behind one (`SessionOutput.defersLongRequests`): `receive` is called again
    /// with what was left, at once or when the others had their turn.
    var isPausing: Bool { get }
    /// Whether what is held waits for a short question to the broker: it is still carried out when the peer has ended meanwhile.
    var isLookingUp: Bool { get }
    func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput)
    func deliver(_ delivery: Delivery, _ output: inout SessionOutput)
    func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput)
    /// What became of the `laneRequest` in its output. What it says now is the last on the socket when the lane opens.
    func laneAnswered(_ id: RequestID, _ answer: LaneAnswer, _ output: inout SessionOutput)
    /// Called about once a second: keep-alive, time-outs.
    func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError)
    /// The server is going down: say so in the protocol's own words.
    func shutDown(_ output: inout SessionOutput)
}

extension WireSession {
    package var isHolding: Bool { false }
    package var isPausing: Bool { false }
    package var isLookingUp: Bool { false }
    package func laneAnswered(_ id: RequestID, _ answer: LaneAnswer, _ output: inout SessionOutput) {}
}

/// A peer on this machine asks for two rings in shared memory in place of its socket.
package struct LaneRequest: Sendable {
    package var id: RequestID
    /// As it would like them; 0: no wish.
    package var toServerBytes: Int
    package var toClientBytes: Int
    package init(id: RequestID, toServerBytes: Int, toClientBytes: Int) {
        self.id = id
        self.toServerBytes = toServerBytes
        self.toClientBytes = toClientBytes
    }
}

package enum LaneAnswer: Sendable {
    case opens(toServerBytes: Int, toClientBytes: Int)
    case refused(BrokerError)
}

/// Who is at the other end.
package struct Peer: Sendable {
    package var address: String
    package var isLocal: Bool
    /// Where the peer has connected to, as numbers; nil on a unix socket. With `listensPerShard`, shard k of the same host is found on
    /// this port less `server.node` plus k.
    package var reached: Endpoint?
    /// What the session is allowed to grow to.
    package var limits: Limits
    /// Whom the peer has reached.
    package var server: ServerIdentity
    package init(address: String, isLocal: Bool, reached: Endpoint? = nil, limits: Limits, server: ServerIdentity = ServerIdentity()) {
        self.address = address
        self.isLocal = isLocal
        self.reached = reached
        self.limits = limits
        self.server = server
    }
}

/// A numeric IPv4 or IPv6 address, and a port.
package struct Endpoint: Hashable, Sendable {
    package var host: String
    package var port: UInt16
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
}

/// What a session can say of the server: in its greeting, or to who asks for its settings.
package struct ServerIdentity: Sendable, Equatable {
    package var name: String
    package var version: String
    /// The shard that serves the session.
    package var node: Int32
    package var shards: Int32
    /// Where everything is kept.
    package var directory = ""
    /// What topics have that do not say otherwise.
    package var topics = Log.Options()
    /// How groups of consumers behave.
    package var groups = GroupOptions()
    package init(name: String = "needletail", version: String = "0.1.0", node: Int32 = 0, shards: Int32 = 1) {
        self.name = name
        self.version = version
        self.node = node
        self.shards = shards
    }

    package func serving(on shard: Int) -> ServerIdentity {
        var identity = self
        identity.node = Int32(shard)
        return identity
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
