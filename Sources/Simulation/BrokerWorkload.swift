internal import BrokerCore
internal import Bytes
internal import SegmentLog

/// A broker core on a simulated disk, driven by one seed: a queue with a dead-letter topic, published to and consumed by several
/// sessions that come and go, until power goes or the process ends. Then a new broker opens what is there, and in the end everything
/// is drained.
package final class BrokerWorkload {
    private let disk: SimulatedDisk
    private let profile: LogWorkload.Profile
    private var random: RandomStream
    private var broker: BrokerFleet?
    private var options = Broker.Options(directory: "data")
    private var oracle: QueueOracle
    private var report: LogWorkload.Report
    private var instant: UInt64 = 1_000_000_000
    /// How far the wall clock is from where it began and what has passed since.
    private var wallJump: Int64 = 0
    private var clocks: RandomStream
    /// The last stop left everything in order.
    private var wasStoppedCleanly = false
    /// What came in, less what went and what is there: the same as long as a broker lives (Q9).
    private var balance: Double?
    private var nextRequest: UInt64 = 1
    private var nextSession: UInt64 = 1
    private var nextMessage: UInt64
    private var sessions: [Session] = []
    /// How many shards the broker has in each life; one stream decides that and in which order they hear of each other.
    private var placement: RandomStream
    private var shards = 1
    /// Where the sessions of a life are: only between two shards is there an order of what is seen.
    private var place = 0
    private var queue: TopicID?
    /// Topics that were made, as the broker said.
    private var known: Set<String> = []
    /// What each request was about.
    private var publishes: [RequestID: UInt64] = [:]
    private var confirms: [RequestID: UInt64] = [:]
    private var answers: [RequestID: Response] = [:]
    private var failedSettle = false
    /// Most is settled soon and one in `keepsEach` not for long, so that old messages remain; 0: all alike.
    private let keepsEach: UInt64

    private static let deliveryLimit = 3
    private static let leaseMilliseconds: UInt32 = 2_000

    /// One session with at most one consumer.
    private final class Session {
        let id: SessionID
        var isConsuming = false
        /// From the dead-letter topic.
        var isReader = false
        var credit = 0
        var inFlight: [(message: UInt64, offset: Int64)] = []
        init(id: SessionID) { self.id = id }
    }

    package static func run(_ seed: Seed, _ profile: LogWorkload.Profile = LogWorkload.Profile()) -> LogWorkload.Report {
        let workload = BrokerWorkload(seed, profile)
        do { try workload.live() } catch { workload.report.violation = error }
        workload.broker = nil
        workload.report.nanoseconds = workload.instant - 1_000_000_000
        workload.report.hash = workload.disk.trace.hash
        workload.report.faults = workload.disk.trace.faults
        workload.report.lines = workload.disk.trace.lines
        workload.report.crashes = workload.disk.crashes
        return workload.report
    }

    private init(_ seed: Seed, _ profile: LogWorkload.Profile) {
        self.profile = profile
        random = seed.stream("broker")
        placement = seed.stream("shards")
        clocks = seed.stream("clocks")
        let trace = Trace()
        trace.keepsLines = profile.keepsTrace
        disk = SimulatedDisk(seed: seed, faults: .crashesOnly(&random), trace: trace)
        disk.sabotage = profile.sabotage
        nextMessage = seed.rawValue &* 1_000_000 &+ 1
        options.log.segmentBytes = random.pick([1_024, 8_192, 65_536])
        options.log.durability = .group
        options.cursorWriteMilliseconds = random.pick([1, 50])
        options.moveRetryMilliseconds = 50
        options.segmentCache = .tight
        if profile.isLong { options.retentionCheckMilliseconds = 60_000 }
        options.segmentsBeforeAside = random.pick([1, 2, 8])
        keepsEach = random.pick([0, 10, 20])
        if keepsEach > 0 {
            options.log.segmentBytes = 1_024
            options.segmentsBeforeAside = 1
        }
        oracle = QueueOracle(deliveryLimit: BrokerWorkload.deliveryLimit)
        report = LogWorkload.Report(seed: seed, hash: 0, faults: [], lines: [], setting: "segments of \(options.log.segmentBytes) B")
    }

    // MARK: A run

    private func live() throws(Violation) {
        for _ in 0..<profile.lives {
            try start()
            if random.chance(0.6) { disk.crash(afterChanges: 1 + random.below(200)) }
            if broker != nil, try makeTopics() {
                for _ in 0..<random.within(1...profile.stepsPerLife) where !disk.isDown { try step() }
            }
            report.setAside += broker?.brokers.reduce(0) { $0 + Int($1.counters.setAside) } ?? 0
            try end()
        }
        try start()
        guard try makeTopics() else { throw Violation(.noProgress, "the topics cannot be made on a healthy disk") }
        try drain()
    }

    private func start() throws(Violation) {
        disk.heal()
        shards = placement.within(profile.shards)
        var tries = 0
        while tries < 4, random.chance(0.2) {
            // Power goes while the broker starts.
            tries += 1
            disk.crash(afterChanges: 1 + random.below(30))
            broker = try makeBroker()
            broker = nil
            disk.crash()
            // Perhaps with another number, before the last one has settled.
            shards = placement.within(profile.shards)
        }
        disk.restart()
        broker = try makeBroker()
        place = placement.below(shards)
        report.recoveries += 1
        sessions = []
        publishes = [:]
        confirms = [:]
        answers = [:]
        balance = nil
        oracle.restarted(cleanly: wasStoppedCleanly)
    }

    private func makeBroker() throws(Violation) -> BrokerFleet? {
        do throws(StartError) {
            return try BrokerFleet(shards: shards, options: options, disk: disk, now: now, Seed(placement.next()).stream("mail"))
        } catch {
            if disk.isDown { return nil }
            throw Violation(.falseAlarm, "a broker whose disk nothing damaged does not start: \(error)")
        }
    }

    private func end() throws(Violation) {
        wasStoppedCleanly = false
        if disk.isDown {
            broker = nil
            disk.restart()
            return
        }
        switch random.below(4) {
        case 0:
            let problems = broker?.shutDown(now: now) ?? []
            try look()
            if !disk.isDown, disk.pendingOperations == 0, let problem = problems.first {
                throw Violation(.contract, "a healthy broker does not close: \(problem)")
            }
            wasStoppedCleanly = !disk.isDown && disk.pendingOperations == 0 && problems.isEmpty
            broker = nil
            if disk.isDown { disk.restart() } else { disk.kill() }
        case 1:
            broker = nil
            disk.kill()
        default:
            broker = nil
            disk.crash()
        }
    }

    /// The dead-letter topic and the queue; answers false when power went meanwhile.
    private func makeTopics() throws(Violation) -> Bool {
        let session = open()
        let letters = SubscriptionOptions(
            leaseMilliseconds: BrokerWorkload.leaseMilliseconds, deliveryLimit: UInt16(BrokerWorkload.deliveryLimit), deadLetterTopic: "dead")
        for (name, topic) in [("dead", TopicOptions()), ("work", TopicOptions.queue(letters))] {
            guard let made = try ask(.createTopic(name: name, topic), session) else { return false }
            guard case .failed(let error) = made else {
                // Whoever was told that a topic is there finds it after every crash.
                guard known.insert(name).inserted else { throw Violation(.lostWrite, "'\(name)' was made, and is gone") }
                continue
            }
            guard error.code == .alreadyExists else { throw Violation(.contract, "'\(name)' is not made: \(error)") }
        }
        guard let described = try ask(.describeTopic(name: "work"), session) else { return false }
        guard case .topics(let found) = described, let topic = found.first else { throw Violation(.lostWrite, "the queue is gone: \(described)") }
        if let queue, queue != topic.id { throw Violation(.lostWrite, "the queue came back as another topic") }
        queue = topic.id
        return true
    }

    /// Asks and waits; nil when power went.
    private func ask(_ request: Request, _ session: Session) throws(Violation) -> Response? {
        let id = perform(request, session, [])
        var rounds = 0
        while answers[id] == nil, !disk.isDown {
            rounds += 1
            guard rounds < 2_000 else { throw Violation(.noProgress, "a request is not answered: \(request)") }
            try pass(20_000_000)
        }
        return answers.removeValue(forKey: id)
    }

    private func step() throws(Violation) {
        switch random.below(100) {
        case ..<35: for _ in 0..<(keepsEach > 0 ? random.within(1...12) : 1) { publish() }
        case ..<50: consume()
        case ..<75: if keepsEach > 0 { try settleMost() } else { try settle() }
        case ..<78:
            if let session = sessions.last, random.chance(0.5) { close(session) }
        default:
            if clocks.chance(0.1) { wallJump += Int64(clocks.within(-100_000...100_000)) * (clocks.chance(0.2) ? 1_000_000 : 1) }
            try pass(UInt64(random.pick([1_000, 300_000, 20_000_000, 1_500_000_000])) * (profile.isLong ? 10_000 : 1))
        }
        try look()
        if clocks.chance(0.2) { try checkBalance() }
    }

    /// Q9, by the broker's own figures, when nothing is on its way to it.
    private func checkBalance() throws(Violation) {
        guard shards == 1, publishes.isEmpty, !disk.isDown, let session = sessions.first else { return }
        let asked = [perform(.statistics, session, []), perform(.listSubscriptions(topic: "work"), session, [])]
        try look()
        let (figures, described) = (answers.removeValue(forKey: asked[0]), answers.removeValue(forKey: asked[1]))
        guard !disk.isDown, case .statistics(let list)? = figures, case .subscriptions(let found)? = described else { return }
        func sum(_ names: String...) -> Double { list.reduce(0) { names.contains(String($1.name.dropFirst(11))) ? $0 + $1.value : $0 } }
        let came = sum("messages_in_total", "redriven_total")
        let went = sum("settled_total", "dead_lettered_total", "dropped_total", "purged_total")
        let there = found.flatMap(\.cursors).reduce(0) { $0 + Double($1.redeliver + $1.inFlight + ($1.end - $1.next)) }
        if let balance, balance != came - went - there {
            throw Violation(.miscount, "came \(came), went \(went), there are \(there): \(came - went - there), and it was \(balance) before")
        }
        balance = came - went - there
    }

    // MARK: Sessions

    private var now: Now {
        Now(instant: Instant(nanoseconds: instant), time: Timestamp(milliseconds: 1_700_000_000_000 + Int64(instant / 1_000_000) + wallJump))
    }

    private func open() -> Session {
        let session = Session(id: SessionID(place: nextSession, on: place))
        nextSession += 1
        sessions.append(session)
        broker?.open(session.id)
        return session
    }

    private func close(_ session: Session) {
        broker?.close(session.id, now: now)
        oracle.consumerGone(session.inFlight.map(\.message))
        sessions.removeAll { $0 === session }
    }

    @discardableResult private func perform(_ request: Request, _ session: Session, _ input: [UInt8]) -> RequestID {
        let id = RequestID(rawValue: nextRequest)
        nextRequest += 1
        broker?.perform(request, id, from: session.id, input: input.rawSpan, now: now)
        return id
    }

    private func publish() {
        guard let queue else { return }
        let session = sessions.first ?? open()
        let message = nextMessage
        nextMessage += 1
        let payload = ReferenceBatch.payload(message)
        let ranges = MessageRanges(
            key: nil, payload: ByteRange(start: 0, count: payload.count), headers: .empty, headerCount: 0, timestamp: nil, producer: nil)
        let append = Append(target: .topic(queue, partition: -1), content: .message(ranges), durability: .none, answer: .whenReached)
        oracle.attempted(message)
        publishes[RequestID(rawValue: nextRequest)] = message
        perform(.append(append), session, payload)
        report.appended += 1
    }

    private func consume() {
        let consumers = sessions.filter { $0.isConsuming && !$0.isReader }
        if let session = consumers.first, random.chance(0.6) {
            let more = random.within(1...10)
            session.credit += more
            perform(.credit(ConsumerID(rawValue: 1), messages: Int32(more), bytes: 1 << 20), session, [])
        } else if consumers.count < 3 {
            subscribe(open(), "work", TopicOptions.queueSubscription, .shared, credit: random.within(0...10))
        }
    }

    private func subscribe(_ session: Session, _ topic: String, _ name: String, _ mode: SubscriptionMode, credit: Int) {
        session.isConsuming = true
        session.credit = credit
        perform(
            .subscribe(
                Subscribe(
                    consumer: ConsumerID(rawValue: 1), topic: topic, name: name, mode: mode, start: .earliest, form: .records,
                    messageCredit: Int32(credit), byteCredit: 1 << 20, options: SubscriptionOptions())),
            session, [])
    }

    private func settle() throws(Violation) {
        let holders = sessions.filter { !$0.inFlight.isEmpty && !$0.isReader }
        guard !holders.isEmpty else { return }
        let session = random.pick(holders)
        let index = random.below(session.inFlight.count)
        let outcomes: [(Settle.Outcome, QueueOracle.Outcome)] = [
            (.accept, .accepted), (.accept, .accepted), (.accept, .accepted), (.requeue, .requeued), (.release, .released), (.reject, .rejected),
        ]
        try settle(index, of: session, random.pick(outcomes), confirm: random.chance(0.5))
    }

    /// All but a few that stay, and are requeued, rejected or settled now and then.
    private func settleMost() throws(Violation) {
        if random.chance(0.1) { try settle() }
        for session in sessions where !session.isReader {
            for index in session.inFlight.indices.reversed() where session.inFlight[index].message % keepsEach != 0 && random.chance(0.9) {
                try settle(index, of: session, (.accept, .accepted), confirm: random.chance(0.2))
                if disk.isDown { return }
            }
            let more = random.within(1...10)
            session.credit += more
            if session.isConsuming { perform(.credit(ConsumerID(rawValue: 1), messages: Int32(more), bytes: 1 << 20), session, []) }
        }
    }

    private func settle(_ index: Int, of session: Session, _ outcome: (Settle.Outcome, QueueOracle.Outcome), confirm: Bool) throws(Violation) {
        let (message, offset) = session.inFlight.remove(at: index)
        // Whatever was handed out before is known before the settlement is judged.
        try look()
        failedSettle = false
        let settle = Settle(
            consumer: ConsumerID(rawValue: 1), partition: 0, first: Offset(offset), last: Offset(offset), outcome: outcome.0, confirm: confirm)
        let id = perform(.settle(settle), session, [])
        let effects = broker?.pending ?? []
        for case .notify(_, _, .settleFailed) in effects { failedSettle = true }
        for case .respond(_, let answered, .failed) in effects where answered == id { failedSettle = true }
        guard !failedSettle, !disk.isDown else { return }
        oracle.settled(message, outcome.1)
        if confirm, outcome.1 == .accepted || outcome.1 == .rejected { confirms[id] = message }
    }

    // MARK: Time, and what comes out

    private func pass(_ nanoseconds: UInt64) throws(Violation) {
        let target = instant + nanoseconds
        var rounds = 0
        while let broker, !disk.isDown, rounds < (profile.isLong ? 5_000 : 500) {
            rounds += 1
            broker.endTick(now: now)
            try look()
            let next = min(disk.nextCompletion.rawValue, max(broker.nextDeadline.rawValue, instant + 1_000))
            guard next <= target, !disk.isDown else { break }
            let passed = max(next, instant) - instant
            instant += passed
            for (ticket, result) in disk.completions(at: Instant(nanoseconds: instant)) where !disk.isDown {
                broker.storageCompleted(ticket, result, now: now)
            }
            try look()
        }
        if disk.isDown { return }
        instant = max(instant, target)
        disk.advance(to: Instant(nanoseconds: instant))
    }

    private func look() throws(Violation) {
        if let violation = disk.violations.first { throw violation }
        guard let broker, !disk.isDown else { return }
        for effect in broker.takeEffects() {
            switch effect {
            case .respond(_, let id, let response): try answered(id, response)
            case .deliver(let session, let delivery): try delivered(session, delivery)
            case .notify: break
            }
        }
    }

    private func answered(_ id: RequestID, _ response: Response) throws(Violation) {
        if let message = publishes.removeValue(forKey: id) {
            switch response {
            case .appended(let appended): try oracle.published(message, at: appended.baseOffset.rawValue)
            case .failed(let error): throw Violation(.contract, "a publish on a healthy disk failed: \(error)")
            default: throw Violation(.contract, "a publish was answered with \(response)")
            }
        } else if let message = confirms.removeValue(forKey: id) {
            if case .done = response { oracle.confirmed(message) }
        } else {
            answers[id] = response
        }
    }

    private func delivered(_ id: SessionID, _ delivery: Delivery) throws(Violation) {
        guard let session = sessions.first(where: { $0.id == id }) else { return }
        let records: [ReferenceBatch.Record]
        switch delivery.content {
        case .batches(let slice):
            records = try ReferenceBatch.decode(slice).filter { $0.offset >= delivery.first.rawValue && $0.offset <= delivery.last.rawValue }
        case .records(let slice, let base):
            records = try ReferenceBatch.decodeRecords(slice, base: base.offset.rawValue, timestamp: base.timestamp.rawValue)
        }
        guard records.first?.offset == delivery.first.rawValue, records.last?.offset == delivery.last.rawValue else {
            throw Violation(.pollSkip, "a delivery of \(delivery.first) … \(delivery.last) holds other records")
        }
        if session.isReader {
            for record in records { try oracle.deadLettered(record.message) }
            return
        }
        session.credit -= records.count
        guard session.credit >= 0 else { throw Violation(.creditExceeded, "\(-session.credit) deliveries more than asked for") }
        for record in records {
            for other in sessions { other.inFlight.removeAll { $0.message == record.message && other !== session } }
            try oracle.delivered(
                record.message, at: record.offset, attempt: Int(delivery.attempt), isRedelivery: delivery.isRedelivery, now: instant,
                leaseEnd: instant + UInt64(BrokerWorkload.leaseMilliseconds) * 1_000_000)
            session.inFlight.removeAll { $0.message == record.message }
            session.inFlight.append((record.message, record.offset))
        }
    }

    // MARK: The last drain

    private func drain() throws(Violation) {
        let reader = open()
        reader.isReader = true
        subscribe(reader, "dead", "", .broadcast, credit: 1_000_000)
        // One takes a few and holds on to them until their leases end. The other has no credit until all have come back: that alone wakes the
        // queue then.
        subscribe(open(), "work", TopicOptions.queueSubscription, .shared, credit: 3)
        try pass(UInt64(BrokerWorkload.leaseMilliseconds) * 3_000_000)
        let worker = open()
        subscribe(worker, "work", TopicOptions.queueSubscription, .shared, credit: 0)
        try pass(500_000_000)
        worker.credit = 1_000_000
        perform(.credit(ConsumerID(rawValue: 1), messages: 1_000_000, bytes: 1 << 20), worker, [])
        var idle = 0
        while idle < 20 {
            try pass(500_000_000)
            idle = worker.inFlight.isEmpty ? idle + 1 : 0
            while !worker.inFlight.isEmpty { try settle(0, of: worker, (.accept, .accepted), confirm: false) }
        }
        try oracle.drained()
    }
}
