package import BrokerCore
internal import LinuxSystem
package import Observability
internal import Synchronization
package import Wire

/// The shards of one process: starts their threads, waits until all of them listen, stops them.
///
/// Everything of a shard is made on its own thread and never leaves it; what crosses are the options, the outcome of the start,
/// commands, and the mail between shards. Shard 0 has the catalog and opens the addresses first; the others begin with what it knows and
/// join its TCP ports, and the system deals connections out. No shard runs before all of them could start.
package final class ShardGroup: Sendable {
    package struct Options: Sendable {
        package var driver = DriverChoice.auto
        package var driverOptions = DriverOptions()
        package var broker: Broker.Options
        package var shard = Shard.Options()
        package var listeners: [Listener] = []
        package var shards = 1
        /// Whether the thread of shard k stays on core k; else the system moves them.
        package var pinsShards = false
        /// Ticks of one shard that may wait for another. Few: a full mailbox slows peers down, and what waits in it is memory.
        package var mailboxCapacity = 16
        package init(directory: String) { broker = Broker.Options(directory: directory) }
    }

    package struct Listener: Sendable {
        package var address: ListenAddress
        package var wireProtocol: any WireProtocol
        package init(address: ListenAddress, wireProtocol: any WireProtocol) {
            self.address = address
            self.wireProtocol = wireProtocol
        }
    }

    /// What came of the start.
    package struct Started: Sendable {
        /// Which driver, and why.
        package var driver: String
        /// Where each listener is bound.
        package var addresses: [ListenAddress]
        package var shards: Int
        package var topics: Int
        package var wasClean: Bool
    }

    private let options: Options
    private let log: LogWriter
    private let threads: [ShardThread]
    private let places = ConnectionCount()
    private let memory = MemoryCount()

    package init(options: Options, log: LogWriter) throws(StartError) {
        precondition(options.shards >= 1 && options.shards <= 256, "a session's id has eight bits for its shard")
        self.options = options.described
        self.log = log
        do throws(Errno) {
            var threads: [ShardThread] = []
            for number in 0..<options.shards { threads.append(try ShardThread(number)) }
            self.threads = threads
        } catch {
            throw StartError(path: "eventfd", reason: error.description)
        }
    }

    /// Starts the shards and waits until every listener is open, or until something refused; then none is left.
    package func start() throws(StartError) -> Started {
        var opened: [ShardThread.Opened] = []
        do throws(StartError) {
            for thread in threads {
                let plan = ShardPlan(
                    options, number: thread.number, addresses: opened.first?.addresses ?? options.listeners.map(\.address), catalog: opened.first?.catalog,
                    log: log)
                opened.append(try thread.open(plan))
            }
        } catch {
            for thread in threads { thread.abandon() }
            throw error
        }
        let doorbells = opened.map { Doorbell($0.waker) }
        let links = ShardLink.all(doorbells, capacity: options.mailboxCapacity)
        let histograms = opened.map(\.histograms)
        for thread in threads {
            thread.run(
                ShardThread.Surroundings(
                    links: links[thread.number], doorbell: doorbells[thread.number], connections: places, memory: memory, histograms: histograms))
        }
        return Started(driver: opened[0].driver, addresses: opened[0].addresses, shards: threads.count, topics: opened[0].topics, wasClean: opened[0].wasClean)
    }

    /// Lets the shards go on with other options, as far as those may change at run time. Sessions keep the limits that they began with.
    package func adopt(_ fresh: Options) {
        var fresh = fresh
        fresh.shards = options.shards
        fresh.broker.directory = options.broker.directory
        fresh.broker.groups = options.broker.groups
        let described = fresh.described
        for thread in threads { thread.tell(.adopt(described.broker, described.shard)) }
    }

    /// Stops accepting, answers what is under way, flushes and closes; waits for the end.
    package func stop(within nanoseconds: UInt64) {
        for thread in threads { thread.tell(.stop(within: nanoseconds)) }
        for thread in threads { thread.join() }
    }

    /// Whether a shard has ended. If nobody stopped it, the broker has failed, and the others are to be stopped.
    package var hasEnded: Bool { threads.contains { $0.hasEnded } }
    /// Whether a shard has ended because the broker failed.
    package var hasFailed: Bool { threads.contains { $0.hasFailed } }
}

extension ShardGroup.Options {
    /// With what sessions are told of the server.
    fileprivate var described: ShardGroup.Options {
        var options = self
        options.shard.server.shards = Int32(options.shards)
        options.shard.server.directory = options.broker.directory
        options.shard.server.topics = options.broker.log
        options.shard.server.groups = options.broker.groups
        if options.shard.limits.memoryBytes == nil { options.shard.limits.memoryBytes = Int(clamping: SystemLimits.memory / 5 * 3) }
        return options
    }
}
