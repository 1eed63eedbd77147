internal import BrokerCore
internal import Observability
internal import SegmentLog
internal import ShardRuntime
internal import Simulation
internal import Wire

/// The shards of one simulated process in one thread: each with its driver and its broker, on one disk, with the same clocks and mailboxes
/// between them. Which of them has its turn when, and which has none for a while, one stream of random numbers decides. A single shard is
/// driven as it is.
final class ShardFleet {
    let drivers: [SimulatedDriver]
    private let shards: [Shard]
    private let commands: [CommandQueue]
    private let disk: SimulatedDisk
    private var random: RandomStream
    private static let listener = ListenerID(rawValue: 0)

    /// Throws what a start throws: the disk may be down, or not as it should be.
    init(
        _ count: Int, _ seed: Seed, _ disk: SimulatedDisk, _ faults: NetworkFaults, _ now: Now, _ options: Broker.Options, _ wireProtocol: any WireProtocol
    ) throws(StartError) {
        self.disk = disk
        random = seed.stream("turns")
        let drivers =
            count > 1
            ? SimulatedDriver.several(count, seed: seed, disk: disk, faults: faults, now: now)
            : [SimulatedDriver(seed: seed, disk: disk, faults: faults, now: now)]
        self.drivers = drivers
        var brokers: [Broker] = []
        for driver in drivers {
            let place = brokers.isEmpty ? Broker.Place.authority(of: count) : .member(brokers.count, of: count, brokers[0].catalogImage)
            brokers.append(try Broker(options: options, storage: driver.storage, now: driver.now, place: place))
        }
        // Of one tick, of two, or as many as a process has.
        let places = ShardPlace.all(Array(zip(brokers, drivers.map(\.waker))).map { (broker: $0, waker: $1) }, mailboxCapacity: random.pick([1, 2, 16]))
        var commands: [CommandQueue] = []
        var shards: [Shard] = []
        for (place, driver) in zip(places, drivers) {
            var own = Shard.Options()
            own.server.shards = Int32(count)
            commands.append(CommandQueue())
            shards.append(
                Shard(options: own, driver: driver, place: place, protocols: [wireProtocol], commands: commands[commands.count - 1], log: .silent))
        }
        self.commands = commands
        self.shards = shards
        for driver in drivers {
            do throws(DriverError) { _ = try driver.listen(.tcp(host: "127.0.0.1", port: 0), Self.listener) } catch {
                throw StartError(path: "listener", reason: error.description)
            }
        }
    }

    var now: Now { drivers[0].now }
    var openConnections: Int { drivers.reduce(0) { $0 + $1.openConnections } }
    var violation: Violation? { drivers.lazy.compactMap(\.violations.first).first ?? disk.violations.first }
    /// Whether every shard has come to its end.
    var isStopped: Bool { shards.allSatisfy(\.isStopped) }

    /// To any of the shards.
    func connect() -> SimulatedPeer? { random.pick(drivers).connect(to: Self.listener) }

    /// One turn for each shard, in any order. Some have none: their threads were not scheduled. The last one lets time pass.
    func tick(_ nanoseconds: UInt64) {
        var order = shards.indices.filter { !shards[$0].isStopped }
        let horizon = now.instant.advanced(byNanoseconds: nanoseconds)
        if shards.count > 1 { random.shuffle(&order) }
        for (turn, shard) in order.enumerated() where !disk.isDown {
            let isLast = turn == order.count - 1
            if !isLast, random.chance(0.2) { continue }
            drivers[shard].horizon = isLast ? horizon : now.instant
            shards[shard].tick()
        }
    }

    func stop(within nanoseconds: UInt64) {
        for (queue, driver) in zip(commands, drivers) {
            queue.put(.stop(within: nanoseconds))
            driver.waker.wake()
        }
    }

    /// The process has ended: every peer sees its connection break.
    func end() { for driver in drivers { driver.end() } }
}
