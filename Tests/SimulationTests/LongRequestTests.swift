import BrokerCore
import Bytes
import ConfigFile
import SegmentLog
import ShardRuntime
import Simulation
import Synchronization
import Testing
import Wire

/// Method: peers ask for much at once, on machines of which some are slow. Goal: everything is carried out in each peer's order, their ends
/// included, and nobody's short requests wait for all of another's long ones.
@Suite struct LongRequestTests {
    static let (long, short): (UInt8, UInt8) = (1, 0)

    /// Every byte is a request.
    final class ByteSession: ReadingSession {
        private let number: Int
        private let reader: @Sendable (Int, UInt8) -> Void
        private(set) var isPausing = false
        init(_ number: Int, _ reader: @escaping @Sendable (Int, UInt8) -> Void) { (self.number, self.reader) = (number, reader) }

        func receive(_ input: RawSpan, _ output: inout SessionOutput) throws(ProtocolError) -> Int {
            isPausing = false
            for (place, byte) in [UInt8](input).enumerated() {
                isPausing = byte == LongRequestTests.long
                if isPausing, output.defersLongRequests { return place }
                reader(number, byte)
                if isPausing { return place + 1 }
            }
            return input.byteCount
        }

    }

    /// Keeps what its sessions read, with their numbers.
    final class ByteProtocol: WireProtocol, Sendable {
        static let name = "bytes"
        private let state = Mutex<(sessions: Int, read: [(session: Int, byte: UInt8)])>((0, []))

        init(_ options: ConfigSection) throws(ConfigError) { preconditionFailure("\(options): made by the test") }
        init() {}

        func makeSession(_ peer: Peer) -> any WireSession {
            let number = state.withLock {
                $0.sessions += 1
                return $0.sessions
            }
            return ByteSession(number) { [self] session, byte in state.withLock { $0.read.append((session, byte)) } }
        }

        var read: [(session: Int, byte: UInt8)] { state.withLock { $0.read } }
    }

    @Test func longRequestsTakeTurnsAndShortOnesPassThem() throws {
        var postponed: UInt64 = 0
        var (slow, passed) = (0, 0)
        for seed in 0..<60 {
            let made = ByteProtocol()
            let bench = try ShardBench(seed: seed, made)
            let shard = bench.shard
            let greedy = try (0..<3).map { _ in try #require(bench.connect()) }
            let modest = try #require(bench.connect())
            let wanted = [Self.short] + [UInt8](repeating: Self.long, count: 40) + [Self.short, Self.long, Self.short]
            for peer in greedy {
                #expect(peer.send(wanted) == wanted.count)
                peer.finish()
            }
            for _ in 0..<3 { shard.tick() }
            #expect(modest.send([Self.short, Self.short]) == 2)
            for _ in 0..<1_000 where greedy.contains(where: { !$0.isOver }) { shard.tick() }
            let read = made.read
            let left = greedy.filter { !$0.isOver }.count
            #expect(left == 0, "seed \(seed)")
            let bySession = Dictionary(grouping: read, by: \.session).mapValues { $0.map(\.byte) }
            let whole = bySession.values.filter { $0 == wanted }.count
            #expect(whole == 3, "seed \(seed)")
            guard shard.counters.longRequestsPostponed > 0 else { continue }
            postponed += shard.counters.longRequestsPostponed
            slow += 1
            // The modest one, whose bytes come when the network brings them, did not wait for the end.
            let modestly = bySession.first { $0.value.count == 2 }?.key
            guard let place = read.lastIndex(where: { $0.session == modestly }) else { continue }
            if read[place...].filter({ $0.byte == Self.long }).count > 20 { passed += 1 }
        }
        #expect(slow > 3 && passed * 2 > slow, "\(passed) of \(slow)")
        #expect(postponed > 100, "\(postponed) were postponed")
    }
}
