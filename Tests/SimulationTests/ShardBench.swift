import BrokerCore
import Observability
import SegmentLog
import ShardRuntime
import Simulation
import Wire

/// A shard on a simulated machine, with one listener that speaks `protocol`.
struct ShardBench {
    let driver: SimulatedDriver
    let shard: Shard

    init(seed: Int, _ made: any WireProtocol) throws {
        let now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
        let disk = SimulatedDisk(seed: Seed(UInt64(seed)))
        driver = SimulatedDriver(seed: Seed(UInt64(seed)), disk: disk, now: now)
        let broker = try Broker(options: Broker.Options(directory: "data"), storage: disk, now: now)
        shard = Shard(options: Shard.Options(), driver: driver, broker: broker, protocols: [made], commands: CommandQueue(), log: .silent)
        _ = try driver.listen(.tcp(host: "127.0.0.1", port: 0), ListenerID(rawValue: 0))
    }

    func connect() -> SimulatedPeer? { driver.connect(to: ListenerID(rawValue: 0)) }
}

/// A session of a made-up protocol that only reads: nothing is said to its peer.
protocol ReadingSession: WireSession {}

extension ReadingSession {
    var bytesWanted: Int { 0 }
    var isEstablished: Bool { true }
    func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput) {}
    func deliver(_ delivery: Delivery, _ output: inout SessionOutput) {}
    func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput) {}
    func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError) {}
    func shutDown(_ output: inout SessionOutput) { output.close() }
}
