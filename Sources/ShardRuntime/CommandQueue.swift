package import BrokerCore
import Synchronization

/// What the main thread tells a shard. Control plane: a lock, and a wake of the shard's driver after.
package final class CommandQueue: Sendable {
    package enum Command: Sendable {
        /// Stop accepting and receiving, answer what is under way, flush, close; at most so many nanoseconds for the first part.
        case stop(within: UInt64)
        /// Go on with these, as far as they may change.
        case adopt(Broker.Options, Shard.Options)
    }

    private let waiting = Mutex<[Command]>([])

    package init() {}

    /// Leaves a command; the sender then uses the driver's waker.
    package func put(_ command: Command) { waiting.withLock { $0.append(command) } }

    func take() -> [Command] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
