internal import BrokerCore
internal import Bytes
internal import SegmentLog

/// The brokers of several shards in one thread, on one simulated disk. Their mail is carried in an order that one stream of random
/// numbers decides: in order between two, in any order among pairs. Alone, a broker is asked directly, as on a single shard.
final class BrokerFleet {
    private(set) var brokers: [Broker] = []
    private var boards: [Switchboard] = []
    private let disk: SimulatedDisk
    private var random: RandomStream
    /// By sender and receiver, what was posted and not taken.
    private var underWay: [[[BrokerMail]]] = []
    private var effects: [Effect] = []

    /// Throws where the disk is down, or not as it should be.
    init(shards: Int, options: Broker.Options, disk: SimulatedDisk, now: Now, _ random: RandomStream) throws(StartError) {
        self.disk = disk
        self.random = random
        guard shards > 1 else {
            brokers = [try Broker(options: options, storage: disk, now: now)]
            return
        }
        brokers = [try Broker(options: options, storage: DiskShare(disk, 0), now: now, place: .authority(of: shards))]
        for shard in 1..<shards {
            let place = Broker.Place.member(shard, of: shards, brokers[0].catalogImage)
            brokers.append(try Broker(options: options, storage: DiskShare(disk, shard), now: now, place: place))
        }
        boards = brokers.map(Switchboard.init)
        underWay = [[[BrokerMail]]](repeating: [[BrokerMail]](repeating: [], count: shards), count: shards)
    }

    func open(_ session: SessionID) { if boards.isEmpty { brokers[0].open(session) } else { boards[session.shard].open(session) } }

    func close(_ session: SessionID, now: Now) {
        if boards.isEmpty { return brokers[0].close(session, now: now) }
        boards[session.shard].close(session, now: now)
        exchange(now)
    }

    func perform(_ request: Request, _ id: RequestID, from session: SessionID, input: RawSpan, now: Now) {
        if boards.isEmpty { return brokers[0].perform(request, id, from: session, input: input, now: now) }
        boards[session.shard].perform(request, id, from: session, input: input, now: now)
        exchange(now)
    }

    func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult, now: Now) {
        let (shard, ticket) = DiskShare.split(ticket)
        brokers[shard].storageCompleted(ticket, result, now: now)
    }

    func endTick(now: Now) {
        for broker in brokers { broker.endTick(now: now) }
        exchange(now)
    }

    /// Carries mail until there is none.
    private func exchange(_ now: Now) {
        guard !boards.isEmpty else { return }
        while !disk.isDown {
            for (shard, board) in boards.enumerated() {
                board.takeEffects(into: &effects) { $0 }
                for other in boards.indices where other != shard && board.hasMail(for: other) {
                    _ = board.post(to: other) { mail in
                        underWay[shard][other].append(mail)
                        return true
                    }
                }
            }
            var ways: [(from: Int, to: Int)] = []
            for from in boards.indices { for to in boards.indices where !underWay[from][to].isEmpty { ways.append((from, to)) } }
            guard !ways.isEmpty else { return }
            let (from, to) = random.pick(ways)
            _ = boards[to].take(underWay[from][to].removeFirst(), from: from, now: now)
        }
    }

    /// What was not taken yet.
    var pending: [Effect] {
        if boards.isEmpty { effects += brokers[0].takeEffects() }
        return effects
    }

    func takeEffects() -> [Effect] {
        if boards.isEmpty { effects += brokers[0].takeEffects() }
        for board in boards { board.takeEffects(into: &effects) { $0 } }
        defer { effects = [] }
        return effects
    }

    var nextDeadline: Instant { brokers.map(\.nextDeadline).min() ?? .distantFuture }

    func shutDown(now: Now) -> [StartError] {
        var problems: [StartError] = []
        for broker in brokers { problems += broker.shutDown(now: now) }
        exchange(now)
        return problems
    }
}
