internal import Bytes
internal import Containers
internal import Mutants
internal import SegmentLog

// Several brokers, one for each shard of the process. All have the same catalog; each has the logs, the subscriptions and the cursors of
// the topics that it owns. Shard 0 is the catalog's *authority*: it alone changes it, and its log `__catalog` is where it is kept.
//
//     authority: record -> flushed -> catalog ... -> members apply -> catalogKnown -> who asked is answered
//     member:    a subscription of its own -> record -> authority: flushed -> recorded -> who asked is answered
//
// So whoever has an answer finds on every shard what it speaks of. Brokers also ask each other, as sessions do: a publish through an
// exchange, a dead letter, a question to all. Such requests come from the broker's own session (`SessionID(brokerOf:)`).
extension Broker {
    /// Where a broker stands among those of its process.
    package struct Place: Sendable {
        var shard: Int
        var map: PartitionMap
        /// What the authority knew when the member started; nil for the authority itself.
        var catalog: CatalogImage?

        /// The only one.
        package static let alone = Place(shard: 0, map: PartitionMap(), catalog: nil)
        package static func authority(of shards: Int) -> Place { Place(shard: 0, map: PartitionMap(shards: shards), catalog: nil) }
        package static func member(_ shard: Int, of shards: Int, _ catalog: CatalogImage) -> Place {
            precondition(shard > 0 && shard < shards)
            return Place(shard: shard, map: PartitionMap(shards: shards), catalog: catalog)
        }
    }

    /// The catalog as it stands, for the start of a member.
    package struct CatalogImage: Sendable {
        let records: [CatalogRecord]
        let wasStoppedCleanly: Bool
    }

    /// What the authority has to tell the members, and what they have said.
    struct CatalogSharing: ~Copyable {
        /// Changes that are not on disk yet, each with the catalog's end behind it.
        var waiting = RingQueue<(record: CatalogRecord, end: Offset)>()
        /// The members were told of everything below.
        var told = Offset.zero
        /// What each member has applied.
        var known: [Offset]
        /// How many members have not closed their logs.
        var open: Int

        /// Members begin with all that the catalog has.
        init(members: Int, end: Offset) {
            known = [Offset](repeating: end, count: members)
            open = members
        }

        /// What all members have applied.
        var knownByAll: Offset { known.min() ?? Offset(.max) }
    }

    /// What a member has asked the authority to record, counted.
    struct CatalogRequests {
        var sent: Int64 = 0
        var recorded: Int64 = 0
    }

    /// What is to be done with the answer of another broker.
    enum Ask {
        /// One log's share of a publish.
        case part(Fanout)
        /// A record on its way to another topic.
        case moved(MovedRecord)
        /// A destination of moves that was to be made.
        case resume(topic: String)
        /// The authority was asked to alter a topic, which takes so many lanes here; who wanted it is told how it is then.
        case describe(SessionID, RequestID, topic: String, lanes: Int)
        /// Goes to a session as it is.
        case relay(SessionID, RequestID)
        case gather(Gather)
        case fetch(FetchJoin, share: Int, FetchJoin.Stage)
    }

    var isAuthority: Bool { shard == 0 }
    func isHere(_ topic: Topic) -> Bool { topic.owner == shard || Mutant.isActive("ownsEveryTopic") }

    /// As `topic(named:)`, for what only its owner can do.
    func ownTopic(named name: String) throws(BrokerError) -> Topic {
        let topic = try topic(named: name)
        guard isHere(topic) else { throw BrokerError(.unknownTopic, "the topic '\(name)' was made anew meanwhile") }
        return topic
    }

    // MARK: Asking

    /// Asks the broker of `owner`, this one included; a session of this shard wants it.
    func ask(_ owner: Int, _ request: Request, _ input: RawSpan, _ now: Now, _ ask: Ask) {
        self.now = now
        if owner == shard { counters.requests &+= 1 }
        self.ask(owner, request, input, ask)
    }

    /// Refuses what a session asks before any broker has seen it.
    func refuse(_ request: Request, _ id: RequestID, _ session: SessionID, _ error: BrokerError) {
        guard let session = self.session(session) else { return }
        fail(request, id, session, error)
    }

    func ask(_ owner: Int, _ request: Request, _ input: RawSpan, _ ask: Ask?) {
        nextAsk &+= 1
        let id = RequestID(rawValue: nextAsk)
        if let ask { asks[id] = ask }
        if owner == shard {
            perform(request, id, from: SessionID(brokerOf: shard), input: input, now: now)
        } else {
            mail[owner].add(request, id, from: SessionID(brokerOf: shard), input: input)
        }
    }

    /// Another broker, or this one, has answered.
    func answered(_ id: RequestID, _ response: Response) {
        guard let ask = asks.removeValue(forKey: id), !isShuttingDown else { return }
        switch ask {
        case .part(let fanout):
            switch response {
            case .appended(let appended): fanout.add(appended)
            case .failed(let error): fanout.failure = error
            default: break
            }
            fanout.remaining -= 1
            if fanout.remaining == 0 { answer(fanout) }
        case .moved(let record):
            if case .failed(let error) = response { moved(record, error) } else { moved(record, nil) }
        case .resume(let name):
            for move in destinationsAsked.removeValue(forKey: name) ?? [] {
                // Also where somebody else has made it: until this broker knows of it there is time.
                if case .failed = response { retry(move) } else { moves.append(move) }
            }
        case .describe(let session, let request, let name, let lanes):
            lanesComing -= lanes
            guard case .topics = response, let topic = topicsByName[name] else { return respond(session, request, response) }
            self.ask(topic.owner, .describeTopic(name: name), RawSpan(), .relay(session, request))
        case .relay(let session, let request): respond(session, request, response)
        case .fetch(let join, let share, let stage): answered(response, to: join, share: share, stage)
        case .gather(let gather):
            gather.add(response)
            if gather.remaining == 0 { effects.append(.respond(gather.session, gather.request, gather.joined)) }
        }
    }

    /// Every part of a publish has its outcome.
    func answer(_ fanout: Fanout) {
        respond(fanout.session, fanout.request, fanout.failure.map { .failed($0) } ?? .appended(fanout.appended))
    }

    // MARK: The catalog, as the authority tells it

    /// The catalog as it stands: what is recorded is in it, on disk or not.
    package var catalogImage: CatalogImage { CatalogImage(records: livingRecords, wasStoppedCleanly: wasStoppedCleanly) }

    /// How far the catalog is on disk and known to all.
    var catalogReached: Offset {
        guard let log = catalog.log else { return Offset(requested.recorded) }
        return map.shards == 1 || Mutant.isActive("answersBeforeMembersKnow") ? log.watermarks.flushed : min(log.watermarks.flushed, sharing.knownByAll)
    }

    /// Whether everything that the catalog was told is on disk and known to all.
    var isCatalogSettled: Bool {
        guard isAuthority else { return requested.recorded == requested.sent }
        guard let log = catalog.log else { return false }
        return log.fault == nil && catalogReached >= log.watermarks.end
    }

    /// Tells the members what is on disk now.
    func tellMembers() {
        guard let flushed = catalog.log?.watermarks.flushed, flushed > sharing.told else { return }
        sharing.told = flushed
        var records: [CatalogRecord] = []
        while let next = sharing.waiting.first, next.end <= flushed {
            records.append(next.record)
            _ = sharing.waiting.popFirst()
        }
        for member in 1..<map.shards { mail[member].events.append(.catalog(records, through: flushed)) }
    }

    // MARK: Mail between authority and members

    func take(_ records: [CatalogRecord], through: Offset) {
        for record in records { apply(record) }
        mail[0].events.append(.catalogKnown(through: through))
    }

    func member(_ member: Int, knows offset: Offset) {
        sharing.known[member - 1] = offset
        logMoved(catalog)
    }

    /// A member's subscriptions; only the authority's log knows them all.
    func record(_ records: [CatalogRecord], of member: Int, through: Int64) {
        for record in records { apply(record) }
        record(records)
        waitForCatalog(.recorded(member: member, through: through))
    }

    func recorded(through: Int64) {
        requested.recorded = through
        while let waiter = catalog.waits.popFlushed(Offset(through)) { complete(waiter, nil) }
    }

    func memberHasClosed() {
        sharing.open -= 1
        var problems: [StartError] = []
        if isShuttingDown { closeCatalogLast(&problems) }
        for problem in problems { notices.append(.logFailed(log: problem.path, reason: problem.reason)) }
    }
}

/// One question to all shards; answered when the last has.
final class Gather {
    let session: SessionID
    let request: RequestID
    var remaining: Int
    private var topics: [TopicDescription] = []
    private var figures: [Statistic] = []
    private var places: [String: Int] = [:]
    private var other: Response?

    init(session: SessionID, request: RequestID, shards: Int) {
        self.session = session
        self.request = request
        remaining = shards
    }

    func add(_ response: Response) {
        remaining -= 1
        switch response {
        case .topics(let more): topics += more
        case .statistics(let more):
            // Sums, in the order of the first.
            for figure in more {
                if let place = places[figure.name] {
                    figures[place].value += figure.value
                } else {
                    places[figure.name] = figures.count
                    figures.append(figure)
                }
            }
        default: other = response
        }
    }

    var joined: Response {
        if let other { return other }
        return figures.isEmpty ? .topics(topics.sorted { $0.name < $1.name }) : .statistics(figures)
    }
}

extension SessionID {
    private static let placeBits: UInt64 = 1 << 56 - 1

    /// A session on `shard`, `place` being unique there. The highest eight bits are the shard's.
    package init(place: UInt64, on shard: Int) { self.init(rawValue: UInt64(shard) << 56 | place & SessionID.placeBits) }

    /// What the broker of `shard` asks others as. No connection has this place.
    init(brokerOf shard: Int) { self.init(place: SessionID.placeBits, on: shard) }

    package var shard: Int { Int(rawValue >> 56) }
    var isBroker: Bool { rawValue & SessionID.placeBits == SessionID.placeBits }
}
