internal import BrokerCore
internal import Bytes
internal import KafkaProtocol
internal import NativeCodec
internal import NativeProtocol
internal import ShardRuntime
internal import Simulation
internal import Wire

/// Peers that send whatever they like, in both protocols, beside the honest clients of a shard: requests of every kind in any order, with
/// lies in them, noise, half of a frame and then nothing. Each connection is one *sequence*.
final class HostilePeers {
    let honest = HonestTopics()
    /// Connections so far.
    private(set) var sequences = 0
    private var random: RandomStream
    private var peers: [Stranger] = []
    /// No more of them.
    var isOver = false

    private static let first: UInt32 = 1

    private final class Stranger {
        let peer: SimulatedPeer
        var unsent: [UInt8]
        /// It reads what it is sent.
        let reads: Bool
        /// What it does when it has said everything.
        let ending: Int
        var idleTicks = 0

        init(_ peer: SimulatedPeer, _ unsent: [UInt8], reads: Bool, ending: Int) {
            self.peer = peer
            self.unsent = unsent
            self.reads = reads
            self.ending = ending
        }
    }

    init(_ seed: Seed) { random = seed.stream("hostile") }

    /// What they listen to, behind the honest clients' one protocol.
    var protocols: [any WireProtocol] { [GuardedProtocol(NativeProtocol(), honest), GuardedProtocol(KafkaProtocol(options: .init()), honest)] }

    func listen(_ driver: SimulatedDriver) throws(DriverError) {
        for index in 0..<2 { _ = try driver.listen(.tcp(host: "127.0.0.1", port: 0), ListenerID(rawValue: Self.first + UInt32(index))) }
    }

    /// Before each tick of the shard, once the honest clients' topics are known.
    func act(on driver: SimulatedDriver) {
        if !isOver, peers.count < 6, random.chance(0.2) { connect(driver) }
        for stranger in peers {
            if stranger.reads { _ = stranger.peer.take(random.chance(0.3) ? random.within(1...300) : .max) }
            if !stranger.unsent.isEmpty {
                let count = random.chance(0.3) ? random.within(1...30) : random.within(1...4_096)
                stranger.unsent.removeFirst(stranger.peer.send(Array(stranger.unsent.prefix(count))))
            } else {
                stranger.idleTicks += 1
                if isOver || stranger.idleTicks > 20 { end(stranger) }
            }
            if isOver { stranger.unsent = [] }
        }
        peers.removeAll { $0.peer.isOver }
    }

    /// The process has ended.
    func forget() {
        peers = []
        honest.ids = []
    }

    private func end(_ stranger: Stranger) {
        switch stranger.ending {
        case 0: stranger.peer.finish()
        // A few stay until they are thrown out, or until everything is over.
        case 1 where !isOver && stranger.idleTicks < 400: break
        default: stranger.peer.reset()
        }
    }

    private func connect(_ driver: SimulatedDriver) {
        let isKafka = random.chance(0.5)
        guard let peer = driver.connect(to: ListenerID(rawValue: Self.first + (isKafka ? 1 : 0))) else { return }
        sequences += 1
        peers.append(Stranger(peer, isKafka ? kafka() : native(), reads: !random.chance(0.2), ending: random.below(3)))
    }

    // MARK: What they say

    private func native() -> [UInt8] {
        var stream = ByteBuffer()
        if random.chance(0.9) { ArbitraryFrames.hello(into: &stream) }
        if random.chance(0.05) { stream.append(noise(random.within(1...200))) }
        var maker = ArbitraryFrames(Choices(noise(random.within(10...600))), ids: 8)
        while !maker.isUsedUp { maker.next(into: &stream) }
        return spoiled([UInt8](stream.bytes))
    }

    private func kafka() -> [UInt8] {
        var stream = ByteBuffer()
        if random.chance(0.05) { stream.append(noise(random.within(1...200))) }
        var maker = ArbitraryRequests(Choices(noise(random.within(10...600))), batches: fuzzedBatches)
        while !maker.isUsedUp { maker.next(into: &stream) }
        return spoiled([UInt8](stream.bytes))
    }

    private func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(random.below(256)) } }

    /// As it is, cut, or with a byte turned somewhere.
    private func spoiled(_ stream: [UInt8]) -> [UInt8] {
        guard !stream.isEmpty else { return stream }
        var stream = stream
        switch random.below(10) {
        case 0: stream.removeLast(random.below(stream.count))
        case 1, 2: stream[random.below(stream.count)] = UInt8(random.below(256))
        default: break
        }
        return stream
    }
}
