internal import Bytes
internal import Containers
internal import SegmentLog

/// A fetch of topics that several shards own: a part of it for each of them.
///
///     look at all ──enough, or no time──► answer
///         └──► wait at all ──the first has more──► look at all ──► answer
///
/// Who waits at the others is not called back: those waits end with their time, and their answers are thrown away. Clients that go where
/// their topics are have no such fetches.
final class FetchJoin {
    let session: SessionID
    let request: RequestID
    let fetch: Fetch
    /// The owners, and which parts each of them reads.
    let shares: [(owner: Int, parts: [Int])]
    private var found: [Fetched?]
    private(set) var stage = Stage.first
    private var remaining: Int

    enum Stage { case first, waiting, last, answered }

    init(_ fetch: Fetch, _ session: SessionID, _ request: RequestID, map: PartitionMap) {
        self.fetch = fetch
        self.session = session
        self.request = request
        var shares: [(owner: Int, parts: [Int])] = []
        for (index, part) in fetch.parts.enumerated() {
            let owner = map.owner(of: PartitionID(topic: part.topic, index: part.partition))
            if let place = shares.firstIndex(where: { $0.owner == owner }) { shares[place].parts.append(index) } else { shares.append((owner, [index])) }
        }
        self.shares = shares
        found = [Fetched?](repeating: nil, count: fetch.parts.count)
        remaining = shares.count
    }

    /// What one owner is asked in the present stage.
    func question(_ share: Int) -> Fetch {
        let parts = shares[share].parts.map { fetch.parts[$0] }
        let bytes = max(1, fetch.maxBytes / shares.count)
        guard stage == .waiting else { return Fetch(parts: parts, maxBytes: bytes, minBytes: 0, waitMilliseconds: 0) }
        // What the others have counts as well.
        let here = shares[share].parts.reduce(0) { $0 + (found[$1]?.slice?.range.count ?? 0) }
        return Fetch(parts: parts, maxBytes: bytes, minBytes: max(1, fetch.minBytes - count + here), waitMilliseconds: fetch.waitMilliseconds)
    }

    private var count: Int { found.reduce(0) { $0 + ($1?.slice?.range.count ?? 0) } }

    /// Takes an answer to a question of `asked`. Answers whether the next stage is to be asked, or the response to the whole.
    func add(_ response: Response, of share: Int, in asked: Stage) -> (asks: Bool, response: Response?) {
        guard asked == stage else { return (false, nil) }
        if stage == .waiting {
            stage = .last
            remaining = shares.count
            return (true, nil)
        }
        switch response {
        case .fetched(let parts): for (index, part) in zip(shares[share].parts, parts) { found[index] = part }
        case .failed(let error): for index in shares[share].parts { found[index] = failed(fetch.parts[index], error) }
        default: break
        }
        remaining -= 1
        guard remaining == 0 else { return (false, nil) }
        let parts = zip(fetch.parts, found).map { $1 ?? failed($0, BrokerError(.unknownTopic, "not read")) }
        if stage == .first, fetch.waitMilliseconds > 0, count < min(fetch.minBytes, fetch.maxBytes), !parts.contains(where: { $0.failure != nil }) {
            stage = .waiting
            return (true, nil)
        }
        stage = .answered
        return (false, .fetched(parts))
    }

    private func failed(_ part: Fetch.Part, _ error: BrokerError) -> Fetched {
        Fetched(topic: part.topic, partition: part.partition, start: .zero, visibleEnd: .zero, slice: nil, failure: error)
    }
}

extension Broker {
    /// Asks every owner what the join has to ask now.
    func ask(for join: FetchJoin) {
        let stage = join.stage
        for (share, (owner, _)) in join.shares.enumerated() {
            ask(owner, .fetch(join.question(share)), RawSpan(), .fetch(join, share: share, stage))
        }
    }

    func answered(_ response: Response, to join: FetchJoin, share: Int, _ stage: FetchJoin.Stage) {
        let (asks, whole) = join.add(response, of: share, in: stage)
        if let whole { effects.append(.respond(join.session, join.request, whole)) }
        if asks { ask(for: join) }
    }
}
