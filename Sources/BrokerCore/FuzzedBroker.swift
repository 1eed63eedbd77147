internal import Bytes
internal import SegmentLog

/// A broker over a directory in memory, and a session that uses everything that is there.
final class FuzzedBroker {
    static let directory = "data"
    static let session = SessionID(rawValue: 1)
    var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
    let storage: MemoryStorage
    let broker: Broker
    private var nextRequest: UInt64 = 1
    private(set) var topics: [TopicDescription] = []
    /// The groups that it has listed, and the member that it made last.
    private(set) var groups: [String] = []
    private(set) var joined: JoinedGroup?
    /// What becomes of deliveries; nil: one thing after the other.
    var outcome: Settle.Outcome?
    /// Messages that were taken, and those that were accepted.
    private(set) var appended: Int64 = 0
    private(set) var accepted: Int64 = 0
    private var subscribed = 0
    private var settled = 0

    /// Nil: it does not start.
    init?(_ storage: MemoryStorage) {
        self.storage = storage
        var options = Broker.Options(directory: FuzzedBroker.directory)
        options.log.segmentBytes = 4_096
        options.segmentsBeforeAside = 1
        guard let broker = try? Broker(options: options, storage: storage, now: now) else { return nil }
        self.broker = broker
        broker.open(FuzzedBroker.session)
    }

    // MARK: Making directories

    static func records(in bytes: RawSpan) -> [[UInt8]] {
        var records: [[UInt8]] = []
        var reader = ByteReader(bytes)
        while let length = try? reader.big(UInt16.self), let range = try? reader.range(Int(length)) {
            records.append([UInt8](bytes.extracting(range.indices)))
        }
        return records
    }

    /// A directory in memory with what `files` says.
    static func storage() -> MemoryStorage {
        let storage = MemoryStorage(isVolatile: false)
        for (path, content) in files {
            do {
                try storage.makeDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
                try storage.create(path, content, syncs: false)
            } catch { preconditionFailure("a file in memory cannot be written: \(error)") }
        }
        return storage
    }

    static func write(_ records: [[UInt8]], to name: String, _ storage: MemoryStorage) {
        let now = Now(instant: Instant(nanoseconds: 1), time: Timestamp(milliseconds: 1_600_000_000_000))
        let path = directory + "/" + name
        do {
            try storage.makeDirectory(path)
            for entry in try storage.list(path) { try storage.remove(path + "/" + entry.name) }
            var options = Log.Options()
            options.segmentBytes = 1 << 16
            let log = try Log(directory: path, number: 1, options: options, storage: storage, now: now)
            for record in records {
                _ = try log.append(MessageParts(key: nil, payload: ByteRange(start: 0, count: record.count)), input: record.rawSpan, now: now)
            }
            try log.close(now: now)
        } catch { preconditionFailure("a log in memory cannot be written: \(error)") }
        storage.closeAll()
    }

    /// A directory with a topic, two queues and their cursors, where some messages are settled.
    static let files: [(path: String, content: [UInt8])] = {
        let storage = MemoryStorage(isVolatile: false)
        guard let made = FuzzedBroker(storage) else { preconditionFailure("a new broker does not start") }
        var dead = TopicOptions.queue(SubscriptionOptions(deliveryLimit: 2, deadLetterTopic: "log"))
        dead.segmentBytes = 1_024
        for (name, options) in [("log", TopicOptions()), ("jobs", dead), ("more", .queue())] { made.ask(.createTopic(name: name, options)) }
        made.work(for: 6)
        made.stop()
        var files: [(path: String, content: [UInt8])] = []
        for folder in ["__catalog", "__cursors", "__aside", "logs/1-0", "logs/2-0", "logs/3-0"] {
            let path = directory + "/" + folder
            for entry in (try? storage.list(path)) ?? [] {
                guard let content = try? storage.content(of: path + "/" + entry.name, atMost: 1 << 20) else { continue }
                files.append((path + "/" + entry.name, content))
            }
        }
        return files
    }()

    // MARK: Using them

    /// Starts, works, stops; twice.
    static func use(_ storage: MemoryStorage) {
        for _ in 0..<2 {
            guard let started = FuzzedBroker(storage) else { return }
            started.work(for: 6)
            started.stop()
            storage.closeAll()
        }
    }

    func work(for ticks: Int) {
        ask(.createTopic(name: "new", TopicOptions()))
        ask(.startProducer(id: -1, epoch: -1))
        ask(.listExchanges)
        ask(.statistics)
        ask(.listTopics)
        tick()
        for topic in topics.prefix(8) {
            ask(.listSubscriptions(topic: topic.name))
            let payload = [UInt8](repeating: 1, count: 200)
            let message = MessageRanges(
                key: nil, payload: ByteRange(start: 0, count: payload.count), headers: .empty, headerCount: 0, timestamp: nil, producer: nil)
            for _ in 0..<6 {
                append(.message(message), to: topic.id, input: payload)
                tick()
            }
            subscribed += 1
            subscribe(UInt32(subscribed), topic.name, topic.options.isQueue ? TopicOptions.queueSubscription : "readers")
        }
        for _ in 0..<ticks { tick() }
    }

    func subscribe(_ consumer: UInt32, _ topic: String, _ name: String = TopicOptions.queueSubscription) {
        ask(
            .subscribe(
                Subscribe(
                    consumer: ConsumerID(rawValue: consumer), topic: topic, name: name, mode: .shared, start: .earliest, form: .records,
                    messageCredit: 1_000, byteCredit: 1 << 20, options: SubscriptionOptions())))
    }

    func append(_ content: Append.Content, to topic: TopicID, input: [UInt8]) {
        ask(.append(Append(target: .topic(topic, partition: -1), content: content, durability: .none, answer: .whenReached)), input: input)
    }

    func ask(_ request: Request, input: [UInt8] = []) {
        broker.perform(request, RequestID(rawValue: nextRequest), from: FuzzedBroker.session, input: input.rawSpan, now: now)
        nextRequest += 1
        takeEffects()
    }

    func tick() {
        now.instant = now.instant.advanced(byNanoseconds: 100_000_000)
        now.time = Timestamp(milliseconds: now.time.rawValue + 100)
        broker.endTick(now: now)
        takeEffects()
        while let (ticket, result) = storage.nextCompletion() { broker.storageCompleted(ticket, result, now: now) }
        takeEffects()
    }

    /// Nothing happens for so long.
    func pass(_ seconds: UInt64) {
        now.instant = now.instant.advanced(byNanoseconds: seconds * 1_000_000_000)
        now.time = Timestamp(milliseconds: now.time.rawValue + Int64(seconds) * 1_000)
        tick()
    }

    private func takeEffects() {
        for effect in broker.takeEffects() {
            switch effect {
            case .respond(_, _, .topics(let listed)): topics = listed.filter { $0.partitions.count <= 16 }
            case .respond(_, _, .group(.listed(let listed))): groups = listed.map(\.name)
            case .respond(_, _, .group(.joined(let member))): joined = member
            case .respond(_, _, .appended(let result)): appended += Int64(result.count)
            case .deliver(_, let delivery):
                precondition(delivery.first <= delivery.last && delivery.attempt >= 1)
                settled += 1
                let outcomes: [Settle.Outcome] = [.accept, .requeue, .accept, .reject, .release]
                let chosen = outcome ?? outcomes[settled % outcomes.count]
                if chosen == .accept { accepted += delivery.last - delivery.first + 1 }
                let settle = Settle(
                    consumer: delivery.consumer, partition: delivery.partition, first: delivery.first, last: delivery.last,
                    outcome: chosen, confirm: settled % 3 == 0)
                // Settling in the midst of the effects is allowed: what it causes comes with the next ones.
                broker.perform(.settle(settle), RequestID(rawValue: nextRequest), from: FuzzedBroker.session, input: [UInt8]().rawSpan, now: now)
                nextRequest += 1
            default: break
            }
        }
    }

    func stop() {
        broker.shutDown(now: now)
        while let (ticket, result) = storage.nextCompletion() { broker.storageCompleted(ticket, result, now: now) }
    }
}
