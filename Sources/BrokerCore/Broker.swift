internal import Bytes
internal import Containers
internal import Observability
internal import Routing
package import SegmentLog

/// Topics, subscriptions, exchanges: the state machine of one shard.
///
/// It takes requests, completions of the storage and the time; it yields effects. Used on one thread, it never waits except in `init`
/// and `shutDown`. Its facets: `+Publishing`, `+Consuming`, `+Fetching`, `+Groups`, `+Topology`, `+Operating`, `+Listing`, `+DeadLetters`, `+Aside`,
/// `+Dispatching`, `+Compaction`, `+Persistence`, `+GroupStore`, `+Neighbours`.
package final class Broker {
    package internal(set) var options: Options
    /// Which of the process's shards it is on, and which of them has what.
    package let shard: Int
    package let map: PartitionMap
    package internal(set) var counters = BrokerCounters()
    /// What the shard is to do, in order.
    var effects = RingQueue<Effect>()

    let storage: any LogStorage
    let memoryStorage = MemoryStorage()
    /// What is kept of sealed segments, for all logs.
    let segmentCache: SegmentCache
    var now: Now
    var tick: UInt64 = 0
    var isShuttingDown = false
    var isCatalogClosed = false
    /// Replaying the catalog: what happens is not to be noted again.
    var isRestoring = false
    var parkedFetches = 0
    /// Of all subscriptions; and those that partitions bring with them which the authority was asked for.
    var laneCount = 0
    var lanesComing = 0
    /// Lists that are not told to their end.
    var listings: [Listing] = []
    /// Set while a request fails that waits for the disk: for whose.
    var awaited: Partition?
    /// Timers of fetches, answered ones included.
    var fetchTimers = 0

    // Sessions and consumers
    var sessions: [SessionID: Session] = [:]
    var lastSession: Session?
    var consumers: [UInt32: Consumer] = [:]
    var nextConsumer: UInt32 = 1

    // Topology
    var topics: [TopicID: Topic] = [:]
    var lastTopic: Topic?
    var topicsByName: [String: Topic] = [:]
    /// Of all topics, as their options say.
    var partitionCount = 0
    /// Logs whose files are being opened, in the background.
    var logsOpening = 0
    var exchanges: [ExchangeID: NamedExchange] = [:]
    var exchangesByName: [String: NamedExchange] = [:]
    var subscriptions: [SubscriptionID: Subscription] = [:]
    let routes: RouteTable
    var nextTopic: UInt32 = 1
    var nextExchange: UInt32 = 1
    var nextSubscription: UInt32 = 1

    // Producers
    var producers = ProducerTable()

    // Groups of consumers
    var groups = GroupTable()

    // Logs
    var partitions: [UInt32: Partition] = [:]
    var nextLog: UInt32 = 5
    /// Its log is the authority's alone.
    let catalog: Partition
    let cursors: Partition
    let survivors: Partition
    let memorySurvivors: Partition
    let groupLog: Partition
    var catalogState = SnapshotState()
    var cursorState = SnapshotState()
    var groupState = SnapshotState()
    /// Cursors as they were read at start, until their topic is first used.
    var restoredCursors: [SubscriptionID: [Int32: Cursor]] = [:]
    /// The last stop left everything as it should be.
    package internal(set) var wasStoppedCleanly = true

    // The brokers of the other shards
    /// What they are to be told, by shard.
    var mail: [BrokerMail]
    var asks: [RequestID: Ask] = [:]
    var nextAsk: UInt64 = 0
    var sharing: CatalogSharing
    var requested = CatalogRequests()
    /// In the catalog, of topics that other shards have.
    var foreignSubscriptions: [SubscriptionID: CatalogRecord] = [:]
    var nextReplyTopic: UInt32 = 1
    /// Moves that wait for the authority to make their destination.
    var destinationsAsked: [String: [Move]] = [:]

    // What operators are told, and the room on the disk
    var notices: [Notice] = []
    /// Whose log is being compacted.
    var compacting: Partition?
    var room = (disk: DiskRoom(), memory: MemoryRoom())
    /// What logs that are not ready had staged when that was last looked at.
    var stagedBytes = 0
    var lastStagedLook = Instant(rawValue: 0)

    // Work of the tick
    var touched: [Partition] = []
    /// The same while they are gone through.
    private var writing: [Partition] = []
    var ready = RingQueue<Lane>()
    var moves = RingQueue<Move>()
    var asideJobs = RingQueue<AsideJob>()
    var asideState = AsideState()
    var memoryAsideState = AsideState()
    var dirtyLanes: [Lane] = []
    var confirmations: [Confirmation] = []
    var timers = DeadlineHeap<Timer>()
    var isCursorWriteDue = false
    var isCursorTimerSet = false
    var scratch = ByteBuffer()
    package let stages = StageHistograms()
    var routed: UInt64 = 0
    var tracing = Tracing()

    struct NamedExchange {
        var id: ExchangeID
        var name: String
        var kind: ExchangeKind
    }

    enum Timer {
        case partition(Partition)
        case lane(Lane)
        case fetch(ParkedFetch)
        case move(Move)
        case trace(Trace)
        case cursors
        case retention
    }

    /// A settlement whose durability somebody waits for.
    struct Confirmation {
        var lane: Lane
        var session: SessionID
        var request: RequestID
    }

    /// Opens what the directory holds. A damaged log of a topic is quarantined; a damaged catalog stops the start.
    package init(options: Options, storage: any LogStorage, now: Now, place: Place = .alone) throws(StartError) {
        self.options = options
        self.storage = storage
        self.now = now
        shard = place.shard
        map = place.map
        segmentCache = SegmentCache(options.segmentCache.share(of: place.map.shards))
        mail = [BrokerMail](repeating: BrokerMail(), count: place.map.shards)
        sharing = CatalogSharing(members: 0, end: .zero)
        let (cursorsDirectory, survivorsDirectory) = Broker.ownDirectories(of: place.shard, in: options.directory)
        var routeOptions = RouteTable.Options()
        routeOptions.depthLimit = options.limits.routeDepth
        routes = RouteTable(routeOptions)
        catalog = Partition(
            id: PartitionID(topic: TopicID(rawValue: .max), index: 0), number: 0, directory: options.directory + "/__catalog", isMemory: false)
        cursors = Partition(
            id: PartitionID(topic: TopicID(rawValue: .max), index: 1), number: 1, directory: cursorsDirectory, isMemory: false)
        survivors = Partition(
            id: PartitionID(topic: TopicID(rawValue: .max), index: 2), number: 2, directory: survivorsDirectory, isMemory: false)
        memorySurvivors = Partition(
            id: PartitionID(topic: TopicID(rawValue: .max), index: 3), number: 3, directory: survivorsDirectory, isMemory: true)
        groupLog = Partition(
            id: PartitionID(topic: TopicID(rawValue: .max), index: 4), number: 4, directory: options.directory + "/__groups", isMemory: false)
        for own in [catalog, cursors, survivors, memorySurvivors, groupLog] { partitions[own.number] = own }
        if map.shards > 1 { for each in 0..<map.shards { open(SessionID(brokerOf: each)) } }
        try restore(place.catalog)
        if isAuthority { sharing = CatalogSharing(members: map.shards - 1, end: catalogEnd) }
        timers.insert(.retention, deadline: now.instant.advanced(byNanoseconds: options.retentionCheckMilliseconds * 1_000_000).rawValue)
    }

    // MARK: Sessions

    /// A session appeared.
    package func open(_ session: SessionID) {
        sessions[session] = Session(id: session)
    }

    /// False: the session's outbox is above its mark; nothing more is delivered to it until true.
    package func setWritable(_ session: SessionID, _ writable: Bool) {
        guard let session = sessions[session], session.isWritable != writable else { return }
        session.isWritable = writable
        guard writable else { return }
        for consumer in session.consumers.values.sorted(by: { $0.number < $1.number }) { becameEligible(consumer) }
    }

    /// The session is gone: its consumers go, and what they had not settled is delivered again.
    package func close(_ session: SessionID, now: Now) {
        self.now = now
        guard let session = sessions.removeValue(forKey: session) else { return }
        if lastSession === session { lastSession = nil }
        for consumer in session.consumers.values.sorted(by: { $0.number < $1.number }) { detach(consumer) }
        session.consumers = [:]
        for parked in session.parked { drop(parked) }
        leaveGroups(session)
        if isTracing { dropTraces(of: session.id) }
        for topic in session.replyTopics { if let topic = topics[topic] { remove(topic) } }
    }

    func session(_ id: SessionID) -> Session? {
        if let lastSession, lastSession.id == id { return lastSession }
        let found = sessions[id]
        lastSession = found
        return found
    }

    // MARK: Requests

    /// Carries out what a session asks. Ranges in the request lie in `input`, which is only read during the call.
    package func perform(_ request: Request, _ id: RequestID, from session: SessionID, input: RawSpan, now: Now) {
        self.now = now
        guard let session = self.session(session) else { return }
        if !session.id.isBroker { counters.requests &+= 1 }
        carryOut(request, id, session, input)
    }

    func carryOut(_ request: Request, _ id: RequestID, _ session: Session, _ input: RawSpan) {
        do throws(BrokerError) {
            if isShuttingDown { throw BrokerError(.shuttingDown, "the broker is shutting down") }
            switch request {
            case .append(let append): try self.append(append, id, session, input)
            case .startProducer(let producer, let epoch): try startProducer(producer, epoch, id, session)
            case .fetch(let fetch): self.fetch(fetch, id, session)
            case .findOffset(let topic, let partition, let position): try findOffset(topic, partition, position, id, session)
            case .endOfEpoch(let topic, let partition, let epoch): try endOfEpoch(topic, partition, epoch, id, session)
            case .subscribe(let subscribe): try self.subscribe(subscribe, id, session)
            case .unsubscribe(let consumer): try unsubscribe(consumer, id, session)
            case .credit(let consumer, let messages, let bytes): addCredit(consumer, Credit(messages: messages, bytes: bytes), session)
            case .settle(let settle): try self.settle(settle, id, session)
            case .extendLease(let consumer, let partition, let first, let last, let milliseconds):
                try extendLease(consumer, partition, first, last, milliseconds, id, session)
            case .seek(let topic, let subscription, let position): try seek(topic, subscription, position, id, session)
            case .deleteSubscription(let topic, let name): try deleteSubscription(topic, name, id, session)
            case .createTopic(let name, let options): try createTopic(name, options, id, session)
            case .createReplyTopic: try createReplyTopic(id, session)
            case .alterTopic(let name, let change): try alterTopic(name, change, id, session)
            case .deleteTopic(let name): try deleteTopic(name, id, session)
            case .describeTopic(let name): try describeTopic(name, id, session)
            case .listTopics: respondWhenKnown(session, id, .topics(topicsByName.values.filter(isHere).sorted { $0.name < $1.name }.map(describe)))
            case .createExchange(let name, let kind): try createExchange(name, kind, id, session)
            case .deleteExchange(let name): try deleteExchange(name, id, session)
            case .bind(let binding): try bind(binding, id, session)
            case .unbind(let binding): try unbind(binding, id, session)
            case .listExchanges: respondWhenKnown(session, id, .exchanges(exchangesByName.values.sorted { $0.name < $1.name }.map(describe)))
            case .findExchange(let name): respondWhenKnown(session, id, .exchanges([describe(try exchange(named: name))]))
            case .listSubscriptions(let topic): try listSubscriptions(topic, id, session)
            case .purge(let topic, let partition, let before): try purge(topic, partition, before, id, session)
            case .redrive(let topic, let limit): try redrive(topic, limit, id, session)
            case .statistics: respond(session.id, id, .statistics(statistics()))
            case .trace(let topic, let milliseconds): try trace(topic, milliseconds, id, session)
            case .group(let request): try perform(request, id, session)
            }
        } catch {
            if let partition = awaited {
                awaited = nil
                if case .subscribe(let subscribe) = request { session.subscribing[subscribe.consumer] = Session.Subscribing(request: id, partition: partition) }
                return partition.resumed.append(.request(request, id, session.id))
            }
            fail(request, id, session, error)
        }
    }

    func fail(_ request: Request, _ id: RequestID, _ session: Session, _ error: BrokerError) {
        if request.isAnswered {
            respond(session.id, id, .failed(error))
            return
        }
        counters.requestsFailed &+= 1
        switch request {
        case .settle(let settle): effects.append(.notify(session.id, settle.consumer, .settleFailed(error)))
        default: break
        }
    }

    func respond(_ session: SessionID, _ id: RequestID, _ response: Response) {
        if case .failed = response { counters.requestsFailed &+= 1 }
        effects.append(.respond(session, id, response))
    }

    /// How many things the shard is to do.
    package var effectCount: Int { effects.count }

    /// The next of them. One at a time, so that none is copied on its way.
    package func takeEffect() -> Effect? { effects.popFirst() }

    package func takeEffects() -> [Effect] {
        var taken: [Effect] = []
        taken.reserveCapacity(effects.count)
        while let effect = effects.popFirst() { taken.append(effect) }
        return taken
    }

    // MARK: The tick

    /// An operation of the storage has ended.
    package func storageCompleted(_ ticket: StorageTicket, _ result: StorageResult, now: Now) {
        self.now = now
        guard let partition = partitions[ticket.log], let log = partition.log else { return }
        if partition.isDeleted || isShuttingDown {
            // A log that goes still gets its completions, so that it can close its files.
            let hasMoved = log.storageCompleted(ticket, result, now: now)
            if !partition.isDeleted, hasMoved { logMoved(partition) }
            // Quiet it may be before that, while the catalog's entry is on its way: then its files are still open.
            if partition.isDeleted, log.isClosed, log.isQuiet { release(partition) }
            if isShuttingDown {
                var problems: [StartError] = []
                closeCatalogLast(&problems)
            }
            return
        }
        let before = log.watermarks.flushed
        let wasOpening = log.isReadying
        defer { if wasOpening, !log.isReadying { logsOpening = max(0, logsOpening - 1) } }
        if log.storageCompleted(ticket, result, now: now) {
            if log.watermarks.flushed > before { counters.flushes &+= 1 }
            logMoved(partition)
        }
        noteTroubles(partition, log)
        if log.takeLoaded() { loaded(partition) }
        if partition === compacting { noteCompaction(partition) }
        if log.needsTick { touch(partition) }
        schedule(partition)
    }

    /// Writes what was appended, starts flushes, answers waiters, dispatches, runs timers.
    package func endTick(now: Now) {
        self.now = now
        if isShuttingDown { return }
        tick &+= 1
        runTimers()
        runGroupTimers()
        runMoves()
        runAsideJobs()
        runListings()
        if isCursorWriteDue || !confirmations.isEmpty { writeCursors() }
        compactCatalog()
        compactGroups()
        // Answering may append again (a move resumed): those wait for the next tick.
        swap(&writing, &touched)
        for partition in writing { write(partition) }
        writing.empty()
        dispatch()
    }

    /// When `endTick` wants to run though nothing happened.
    package var nextDeadline: Instant {
        if isShuttingDown { return .distantFuture }
        if !ready.isEmpty || !touched.isEmpty || !moves.isEmpty || !asideJobs.isEmpty || !confirmations.isEmpty || hasListingToTell { return now.instant }
        return min(Instant(rawValue: timers.earliest), groups.earliest)
    }

    func touch(_ partition: Partition) {
        guard !partition.isTouched else { return }
        partition.isTouched = true
        touched.append(partition)
    }

    private func write(_ partition: Partition) {
        partition.isTouched = false
        guard let log = partition.log, !partition.isDeleted else { return }
        log.endTick(now: now)
        noteTroubles(partition, log)
        logMoved(partition)
        schedule(partition)
    }

    /// Answers who waited for what the log has reached, and lets consumers see it.
    func logMoved(_ partition: Partition) {
        guard let log = partition.log else { return }
        if let fault = log.fault {
            logFailed(partition, fault)
            return
        }
        if log.isFlushLate(now: now.instant), !partition.waits.untilWritten.isEmpty {
            // `interval` promises how much a power cut may take: while the disk is behind, publishers wait for what covers them.
            partition.heldThrough = log.watermarks.end
            log.requestFlush(through: partition.heldThrough)
        }
        let open = log.watermarks.flushed >= partition.heldThrough ? log.written : log.watermarks.flushed
        while let waiter = partition.waits.popWritten(open) { complete(waiter, nil) }
        var flushed = log.watermarks.flushed
        if partition === catalog, map.shards > 1 {
            // A change has happened once all shards have it.
            tellMembers()
            flushed = catalogReached
        }
        while let waiter = partition.waits.popFlushed(flushed) {
            if let since = waiter.since { stages.durable.record(now.instant.nanoseconds(since: since)) }
            complete(waiter, nil)
        }
        if isTracing { traceMoved(partition, log) }
        let visible = log.visibleEnd
        guard visible != partition.shown else { return }
        partition.shown = visible
        for lane in partition.lanes { makeReady(lane) }
        if !partition.parked.isEmpty { retryFetches(partition) }
    }

    private func logFailed(_ partition: Partition, _ fault: StorageError) {
        if !partition.isFaultKnown {
            partition.isFaultKnown = true
            counters.logsFailed &+= 1
            notices.append(.logFailed(log: shownName(partition), reason: fault.description))
        }
        let error = BrokerError(.storageFailed, "the log takes no more writes: \(fault)")
        while let waiter = partition.waits.popAny() { complete(waiter, error) }
    }

    /// The log reached what the waiter needs, or failed.
    func complete(_ waiter: Waiter, _ failure: BrokerError?) {
        switch waiter.kind {
        case .append(let session, let request, let appended):
            if let failure { return respond(session, request, .failed(failure)) }
            if let since = waiter.since { stages.acknowledge.record(now.instant.nanoseconds(since: since)) }
            effects.append(.respond(session, request, .appended(appended)))
        case .part(let fanout):
            if let failure { fanout.failure = failure }
            fanout.remaining -= 1
            guard fanout.remaining == 0 else { return }
            if let since = waiter.since, fanout.failure == nil { stages.acknowledge.record(now.instant.nanoseconds(since: since)) }
            answer(fanout)
        case .answer(let session, let request, let reply): respond(session, request, failure.map { .failed($0) } ?? reply.response)
        case .attach(let consumer, let reply, let request):
            guard !consumer.hasLeft else { return respond(consumer.session.id, request, .failed(BrokerError(.unknownConsumer, "gone meanwhile"))) }
            if let failure {
                respond(consumer.session.id, request, .failed(failure))
                forget(consumer)
            } else {
                respond(consumer.session.id, request, reply.response)
                attach(consumer)
            }
        case .moved(let record): moved(record, failure)
        case .resume(let move): if failure == nil { moves.append(move) } else { retry(move) }
        case .destroy(let gone): if failure == nil { for partition in gone { destroy(partition) } }
        case .copied(let job): copied(job, failure)
        case .asideNoted(let job): asideNoted(job, failure)
        case .snapshot(let partition, let before): if failure == nil { trimSnapshot(partition, before) }
        case .recorded(let member, let through): if failure == nil { mail[member].events.append(.recorded(through: through)) }
        }
    }

    // MARK: Timers

    func schedule(_ partition: Partition) {
        guard let log = partition.log else { return }
        let deadline = log.nextDeadline
        guard deadline < partition.scheduled else { return }
        partition.scheduled = deadline
        timers.insert(.partition(partition), deadline: deadline.rawValue)
    }

    func schedule(_ lane: Lane) {
        let deadline = lane.cursor.nextExpiry
        guard deadline < lane.scheduled else { return }
        lane.scheduled = deadline
        timers.insert(.lane(lane), deadline: deadline.rawValue)
    }

    func later(_ timer: Timer, milliseconds: UInt64) {
        timers.insert(timer, deadline: now.instant.advanced(byNanoseconds: milliseconds * 1_000_000).rawValue)
    }

    private func runTimers() {
        while let timer = timers.popDue(now.instant.rawValue) {
            switch timer {
            case .partition(let partition):
                partition.scheduled = .distantFuture
                if !partition.isDeleted { touch(partition) }
            case .lane(let lane):
                lane.scheduled = .distantFuture
                if !lane.hasLeft { expireLeases(lane) }
            case .fetch(let parked):
                fetchTimers -= 1
                answer(parked)
            case .move(let move): moves.append(move)
            case .trace(let trace): traceTimedOut(trace)
            case .cursors:
                isCursorTimerSet = false
                isCursorWriteDue = true
            case .retention:
                lookAtDisk()
                applyRetention()
                segmentCache.release(now: now.instant)
                applyGroupRetention()
                considerCompaction()
                later(.retention, milliseconds: options.retentionCheckMilliseconds)
            }
        }
    }
}
