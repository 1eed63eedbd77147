import BrokerCore
internal import Synchronization

/// What one tick of a front shard (one without a broker) says to the home shard (the one with it), in order.
struct BrokerMail: Sendable {
    enum Event: Sendable {
        case opened(SessionID)
        case closed(SessionID)
        case writable(SessionID, Bool)
        /// `input` is where the bytes that the request's ranges count from lie in the mail's own.
        case request(SessionID, RequestID, Request, input: Range<Int>)
    }

    var events: [Event] = []
    /// Copies of what sessions read when they asked.
    var input: [UInt8] = []
    var figures: ShardFigures?
    /// Nothing more comes: the shard has closed its last session.
    var isLast = false

    var isEmpty: Bool { events.isEmpty && figures == nil && !isLast }
}

/// What one tick of the home shard says to a front shard.
struct EffectMail: Sendable {
    var effects: [Effect] = []
    /// The broker has failed: stop within so many nanoseconds.
    var stop: UInt64?

    var isEmpty: Bool { effects.isEmpty && stop == nil }
}

/// What is between the home shard and one front shard.
struct ShardLink: Sendable {
    let requests: Mailbox<BrokerMail>
    let effects: Mailbox<EffectMail>

    init(front: Doorbell, home: Doorbell, capacity: Int) {
        requests = Mailbox(capacity: capacity, from: front, to: home)
        effects = Mailbox(capacity: capacity, from: home, to: front)
    }
}

/// What a shard shows to others: its counters as they were, and histograms that any thread may read at any time.
struct ShardFigures: Sendable {
    var counters = ShardCounters()
    var connections = 0
    var stages = TickHistograms()
}

/// How many connections all shards have together, so that the limit is the process's.
package final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    package init() {}

    /// False when there are `limit` already.
    func enter(limit: Int) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue <= limit else {
            leave()
            return false
        }
        return true
    }

    func leave() { count.subtract(1, ordering: .relaxed) }
}

extension SessionID {
    /// The drivers' generations leave the highest eight bits free, and no connection has all others set.
    init(_ socket: SocketID, on shard: Int) { self.init(place: socket.rawValue, on: shard) }

    var slot: Int { SocketID(rawValue: rawValue).slot }
}
