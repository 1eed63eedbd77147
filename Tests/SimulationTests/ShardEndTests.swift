import BrokerCore
import Bytes
import ConfigFile
import Observability
import SegmentLog
import ShardRuntime
import Simulation
import Synchronization
import Testing
import Wire

/// What a shard still does for a peer that has said its last word.
@Suite struct ShardEndTests {
    /// Has to ask the broker something before it can read what it was sent, as Kafka's does at a topic's first use.
    final class AskingSession: WireSession {
        private enum State { case fresh, asking, knows }
        private var state = State.fresh
        private let reader: @Sendable ([UInt8]) -> Void
        init(_ reader: @escaping @Sendable ([UInt8]) -> Void) { self.reader = reader }
        var bytesWanted: Int { 0 }
        var isEstablished: Bool { true }
        var isHolding: Bool { state == .asking }
        var isLookingUp: Bool { state == .asking }

        func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int {
            if input.byteCount == 0 { return 0 }
            if state == .fresh {
                state = .asking
                // Is answered when the disk has it, some time later.
                output.request(.createTopic(name: "t", TopicOptions()), id: RequestID(rawValue: 1))
            }
            guard state == .knows else { return 0 }
            reader([UInt8](input))
            return input.byteCount
        }

        func complete(_ id: RequestID, _ response: Response, _ output: inout SessionOutput) { state = .knows }
        func deliver(_ delivery: Delivery, _ output: inout SessionOutput) {}
        func notify(_ consumer: ConsumerID, _ event: ConsumerEvent, _ output: inout SessionOutput) {}
        func advance(to now: Now, _ output: inout SessionOutput) throws(ProtocolError) {}
        func shutDown(_ output: inout SessionOutput) { output.close() }
    }

    /// Keeps what its one session reads.
    final class AskingProtocol: WireProtocol, Sendable {
        static let name = "asking"
        private let taken = Mutex<[UInt8]>([])

        init(_ options: ConfigSection) throws(ConfigError) { preconditionFailure("\(options): made by the test") }
        init() {}

        func makeSession(_ peer: Peer) -> any WireSession { AskingSession { [self] bytes in taken.withLock { $0 += bytes } } }

        var read: [UInt8] { taken.withLock { $0 } }
    }

    @Test func theLastRequestOfAPeerThatHasEndedIsCarriedOut() throws {
        for seed in 0..<60 {
            let now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
            let disk = SimulatedDisk(seed: Seed(UInt64(seed)))
            let driver = SimulatedDriver(seed: Seed(UInt64(seed)), disk: disk, now: now)
            let broker = try Broker(options: Broker.Options(directory: "data"), storage: disk, now: now)
            let made = AskingProtocol()
            let shard = Shard(
                options: Shard.Options(), driver: driver, broker: broker, protocols: [made], commands: CommandQueue(), log: .silent)
            _ = try driver.listen(.tcp(host: "127.0.0.1", port: 0), ListenerID(rawValue: 0))
            let peer = try #require(driver.connect(to: ListenerID(rawValue: 0)))
            #expect(peer.send([1, 2, 3]) == 3)
            peer.finish()
            for _ in 0..<500 where !peer.isOver { shard.tick() }
            #expect(peer.isOver, "seed \(seed)")
            #expect(made.read == [1, 2, 3], "seed \(seed)")
        }
    }
}
