import BrokerCore
import Bytes
import ConfigFile
import SegmentLog
import ShardRuntime
import Simulation
import Synchronization
import Testing
import Wire

/// What a shard still does for a peer that has said its last word.
@Suite struct ShardEndTests {
    /// Has to ask the broker something before it can read what it was sent, as Kafka's does at a topic's first use.
    final class AskingSession: ReadingSession {
        private enum State { case fresh, asking, knows }
        private var state = State.fresh
        private let reader: @Sendable ([UInt8]) -> Void
        init(_ reader: @escaping @Sendable ([UInt8]) -> Void) { self.reader = reader }
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
            let made = AskingProtocol()
            let bench = try ShardBench(seed: seed, made)
            let peer = try #require(bench.connect())
            #expect(peer.send([1, 2, 3]) == 3)
            peer.finish()
            for _ in 0..<500 where !peer.isOver { bench.shard.tick() }
            #expect(peer.isOver, "seed \(seed)")
            #expect(made.read == [1, 2, 3], "seed \(seed)")
        }
    }
}
