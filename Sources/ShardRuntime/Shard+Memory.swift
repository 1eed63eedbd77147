import BrokerCore
import Bytes
import Mutants
import SegmentLog

// Memory of the process (rule P12). Counted is what grows with what peers do: frames that are not whole, answers and deliveries that are not
// sent yet, requests that are not answered, and what the broker holds (`Broker.memoryBytes`). Segments on disk are the system's to cache.
extension Shard {
    /// Tells the broker what all shards use, once a tick.
    func lookAtMemory() {
        let own = broker.own
        let used = connectionBytes + own.memoryBytes
        let all = memory.change(from: countedBytes, to: used)
        countedBytes = used
        own.setMemory(used: all, limit: limits.memoryBytes ?? .max)
    }

    /// Counts what a connection holds.
    func count(memoryOf connection: Connection) {
        let held = connection.heldBytes
        connectionBytes += held - connection.countedBytes
        connection.countedBytes = held
    }

    /// Whether this publisher has had its turn: while memory is tight, it is read once in each round of the sweep, so that consumers catch up. Who
    /// takes deliveries makes room, and is read as ever.
    func hasToWait(_ connection: Connection) -> Bool { connection.hasPublished && !connection.takesDeliveries && broker.own.isMemoryTight }
}

extension Connection {
    /// Of a request that is not answered: its place in the broker's and the session's lists.
    private static let requestBytes = 256

    var heldBytes: Int { input.count + outputBytes + unanswered * Connection.requestBytes }
}
