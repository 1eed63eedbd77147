package import BrokerCore
import Bytes
import SegmentLog

/// A shard's way to the broker: its own, which alone has everything, or its own among those of other shards.
enum BrokerPort {
    case here(Broker)
    case among(Neighbours)

    /// The broker on this shard.
    var own: Broker {
        switch self {
        case .here(let broker): broker
        case .among(let neighbours): neighbours.board.broker
        }
    }

    func open(_ session: SessionID) {
        switch self {
        case .here(let broker): broker.open(session)
        case .among(let neighbours): neighbours.board.open(session)
        }
    }

    func close(_ session: SessionID, now: Now) {
        switch self {
        case .here(let broker): broker.close(session, now: now)
        case .among(let neighbours): neighbours.board.close(session, now: now)
        }
    }

    func setWritable(_ session: SessionID, _ writable: Bool) {
        switch self {
        case .here(let broker): broker.setWritable(session, writable)
        case .among(let neighbours): neighbours.board.setWritable(session, writable)
        }
    }

    /// Ranges in the request lie in `input`, which is only read (or copied) during the call.
    func perform(_ request: Request, _ id: RequestID, from session: SessionID, input: RawSpan, now: Now) {
        switch self {
        case .here(let broker): broker.perform(request, id, from: session, input: input, now: now)
        case .among(let neighbours): neighbours.board.perform(request, id, from: session, input: input, now: now)
        }
    }

    /// Another shard has not taken what was asked: no more is to be received.
    var isCongested: Bool { if case .among(let neighbours) = self { neighbours.isCongested } else { false } }

    /// Whether there is something to be passed on at once.
    var hasWork: Bool {
        switch self {
        case .here(let broker): broker.effectCount > 0
        case .among(let neighbours): neighbours.hasWork
        }
    }
}

/// Where a shard stands among those of its process.
package struct ShardPlace {
    var number = 0
    var broker: BrokerPort
    /// How others wake it; nil where there are none.
    var doorbell: Doorbell?
    var connections = ConnectionCount()
    var memory = MemoryCount()
    var histograms = TickHistograms()
    /// Of all shards, this one included.
    var all: [ShardHistograms] = []

    /// The places of all shards of a process that is driven by one thread, as in a simulation; `ShardGroup` gives each a thread.
    package static func all(_ machines: [(broker: Broker, waker: any Waker)], mailboxCapacity: Int) -> [ShardPlace] {
        guard machines.count > 1 else { return machines.map { ShardPlace(broker: .here($0.broker)) } }
        let doorbells = machines.map { Doorbell($0.waker) }
        let links = ShardLink.all(doorbells, capacity: mailboxCapacity)
        let histograms = machines.map { ShardHistograms(tick: TickHistograms(), broker: $0.broker.stages) }
        let (connections, memory) = (ConnectionCount(), MemoryCount())
        return machines.indices.map { shard in
            ShardPlace(
                number: shard, broker: .among(Neighbours(Switchboard(machines[shard].broker), links[shard])), doorbell: doorbells[shard],
                connections: connections, memory: memory, histograms: histograms[shard].tick, all: histograms)
        }
    }
}

/// What one shard measures; any thread may read it at any time.
struct ShardHistograms: Sendable {
    var tick: TickHistograms
    var broker: StageHistograms
}
