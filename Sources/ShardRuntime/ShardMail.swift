import BrokerCore

/// What one tick of a shard says to another shard.
struct ShardMail: Sendable {
    var broker: BrokerMail
    var farewell = Farewell()
}

/// What shards say to each other about the end.
struct Farewell: Sendable {
    /// The shard has closed its last session: it asks nothing any more for others.
    var isLast = false
    /// The broker has failed: stop within so many nanoseconds.
    var stop: UInt64?

    var isEmpty: Bool { !isLast && stop == nil }
}

/// The two mailboxes between one shard and another, as the one sees them.
struct ShardLink: Sendable {
    /// The other.
    let shard: Int
    let leaving: Mailbox<ShardMail>
    let arriving: Mailbox<ShardMail>

    /// The links of every shard to all others, by its number.
    static func all(_ doorbells: [Doorbell], capacity: Int) -> [[ShardLink]] {
        var boxes: [[Mailbox<ShardMail>]] = []
        for from in doorbells { boxes.append(doorbells.map { Mailbox(capacity: capacity, from: from, to: $0) }) }
        return doorbells.indices.map { own in
            doorbells.indices.filter { $0 != own }.map { ShardLink(shard: $0, leaving: boxes[own][$0], arriving: boxes[$0][own]) }
        }
    }
}

extension SessionID {
    /// The drivers' generations leave the highest eight bits free, and no connection has all others set.
    init(_ socket: SocketID, on shard: Int) { self.init(place: socket.rawValue, on: shard) }

    var slot: Int { SocketID(rawValue: rawValue).slot }
}
