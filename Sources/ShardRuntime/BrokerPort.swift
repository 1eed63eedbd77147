import BrokerCore
import Bytes
import SegmentLog

/// A shard's way to the broker: the broker itself, or the mail to the shard that has it.
enum BrokerPort {
    case here(Broker)
    case away(RemoteBroker)

    func open(_ session: SessionID) {
        switch self {
        case .here(let broker): broker.open(session)
        case .away(let remote): remote.open(session)
        }
    }

    func close(_ session: SessionID, now: Now) {
        switch self {
        case .here(let broker): broker.close(session, now: now)
        case .away(let remote): remote.close(session)
        }
    }

    func setWritable(_ session: SessionID, _ writable: Bool) {
        switch self {
        case .here(let broker): broker.setWritable(session, writable)
        case .away(let remote): remote.setWritable(session, writable)
        }
    }

    /// Ranges in the requests lie in `input`, which is only read (or copied) during the call.
    func perform(_ requests: [(id: RequestID, request: Request)], from session: SessionID, input: RawSpan, now: Now) {
        switch self {
        case .here(let broker): for (id, request) in requests { broker.perform(request, id, from: session, input: input, now: now) }
        case .away(let remote): remote.perform(requests, from: session, input: input)
        }
    }

    /// The home shard has not taken what was asked: no more is to be received.
    var isCongested: Bool { if case .away(let remote) = self { remote.isCongested } else { false } }
}

/// Where a shard stands among those of its process.
package struct ShardPlace {
    enum Role {
        /// The only one: nobody else is told anything.
        case alone(Broker)
        case home(Broker, [ShardLink])
        case front(ShardLink)
    }

    var number = 0
    var role: Role
    /// How others wake it; nil where there are none.
    var doorbell: Doorbell?
    var connections = ConnectionCount()
}
