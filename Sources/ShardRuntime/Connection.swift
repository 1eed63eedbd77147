import Bytes
import BrokerCore
import Containers
import Mutants
import SegmentLog
import Wire

/// One connection: its session, the input that is not yet a whole frame, and two outputs, of which one is being filled while the
/// other is being sent.
///
///     open --(peer ends, protocol error, session closes)--> draining --(everything sent)--> closing --(driver: closed)--> gone
///
/// Owned by its shard's `ConnectionTable`. Memory in `inFlight` belongs to the driver until `sent` or `closed`.
final class Connection {
    let socket: SocketID
    let id: SessionID
    let peer: Peer
    /// What it is counted by.
    let host: PeerHost?
    let session: any WireSession
    private(set) var state = State.open
    /// Bytes received that are no whole frame yet, or that the session holds back.
    var input = ByteBuffer()
    /// What of `input` the session has read.
    var inputStart = 0
    /// What the session is saying now.
    var output = SessionOutput()
    /// What the driver is sending.
    private var inFlight = SessionOutput()
    private var inFlightBytes = 0
    private(set) var isSending = false
    /// Shared memory that has taken the socket's place.
    var lane: LaneEnd?
    /// When the peer was last seen to take something of the send in flight, or that began; and how much it had taken, as the driver counts.
    var lastTaken = Instant(rawValue: 0)
    var taken: UInt64 = 0
    private var pieces: [OutputPiece] = []

    /// Requests that the broker has not answered yet, and about how many bytes they came in.
    private(set) var unanswered = 0
    private(set) var unansweredBytes = 0
    /// Since when the input begins with the frame that it begins with; and when the input was last seen to get on, and how long it was.
    var inputSince = Instant(rawValue: 0)
    var inputGrown = Instant(rawValue: 0)
    var inputGrownTo = 0
    /// What the shard has counted of `input`.
    var countedInput = 0
    /// What the shard has counted of all that it holds.
    var countedBytes = 0
    /// It has published since the sweep came by; it was given deliveries.
    var hasPublished = false
    var takesDeliveries = false
    /// Whether the shard counts it among those in their handshake.
    var isNewcomer = true
    /// Whether the session left whole frames unread.
    var isHeld = false
    /// The peer has ended before everything that it had asked for was carried out.
    var hasEnded = false
    /// In the shard's list of those whose requests wait for others.
    var isPostponed = false
    /// Whether the driver was told to receive.
    var isReceiving = false
    /// What the broker was told last.
    var isWritable = true
    /// Whether this connection is in the shard's list of those with something to send.
    var isListed = false
    var lastActive: Instant

    enum State { case open, draining, closing }

    init(socket: SocketID, on shard: Int, peer: Peer, host: PeerHost?, session: any WireSession, now: Instant) {
        self.socket = socket
        id = SessionID(socket, on: shard)
        self.peer = peer
        self.host = host
        self.session = session
        lastActive = now
    }

    /// Memory of what is said and not sent; stored slices are the log's.
    var outputBytes: Int { output.bytes.count + inFlight.bytes.count }

    var unreadBytes: Int { input.count - inputStart }

    func forgetInput() {
        input.release()
        inputStart = 0
    }

    /// Bytes that wait for the peer.
    var pendingBytes: Int { inFlightBytes + output.pendingBytes }
    var isDrained: Bool { !isSending && output.pendingBytes == 0 }

    func asked(_ requests: Int, bytes: Int) {
        guard requests > 0 else { return }
        unanswered += requests
        unansweredBytes += bytes
    }

    /// The answers share what the requests came in: nothing is left when all are there.
    func answered() {
        unansweredBytes -= unanswered > 0 ? unansweredBytes / unanswered : 0
        unanswered -= 1
    }

    func drain() { if state == .open { state = .draining } }
    func beginClosing() { state = .closing }

    /// Gives the driver what was said since the last send, unless one is in flight. True when the socket has taken all of it.
    func send(by driver: any Driver, at now: Instant) -> Bool {
        guard !isSending || Mutant.isActive("sendsTwiceAtOnce"), state != .closing, output.pendingBytes > 0 else { return false }
        pieces.empty()
        output.appendPieces(to: &pieces)
        if let lane {
            lane.load(pieces)
        } else if driver.send(socket, pieces) {
            output.clear()
            return true
        }
        // The memory stays where it is.
        swap(&output, &inFlight)
        inFlightBytes = inFlight.pendingBytes
        isSending = true
        lastTaken = now
        return false
    }

    /// Something stored that is being sent could not be read.
    var hasUnreadableInFlight: Bool {
        for case .slice(let slice) in inFlight.pieces where slice.memory.hasFailed { return true }
        return false
    }

    /// The driver has sent everything it was given.
    func sent() {
        isSending = false
        inFlightBytes = 0
        inFlight.clear()
    }

    /// Reads what was to be sent, so that a segment that cannot be read is marked. The disk has failed: it may take its time.
    func touchInFlight() {
        for case .slice(let slice) in inFlight.pieces { slice.memory.touch(slice.range) }
    }

    /// Gives buffers back that an idle connection does not need.
    func releaseMemory() {
        if input.isEmpty { input.release() }
        if !isSending {
            inFlight.release()
            pieces = []
        }
        if output.pendingBytes == 0 { output.release() }
    }
}

/// The shard's connections by slot of their socket.
struct ConnectionTable {
    private var slots: [Connection?] = []
    private(set) var count = 0

    /// The connection of `socket`, or nil when that one has gone and the slot is another's.
    subscript(socket: SocketID) -> Connection? {
        guard socket.slot < slots.count, let found = slots[socket.slot], found.socket == socket else { return nil }
        return found
    }

    subscript(session: SessionID) -> Connection? {
        guard session.slot < slots.count, let found = slots[session.slot], found.id == session else { return nil }
        return found
    }

    mutating func insert(_ connection: Connection) {
        let slot = connection.socket.slot
        while slots.count <= slot { slots.append(nil) }
        precondition(slots[slot] == nil)
        slots[slot] = connection
        count += 1
    }

    mutating func remove(_ connection: Connection) {
        precondition(slots[connection.socket.slot] === connection)
        slots[connection.socket.slot] = nil
        count -= 1
    }

    var capacity: Int { slots.count }
    func connection(inSlot slot: Int) -> Connection? { slot < slots.count ? slots[slot] : nil }
}
