internal import Bytes
internal import Containers
internal import SegmentLog

// Fuzz entries of the broker's own records. Nothing may trap; what was understood must be the same after being written again; a broker
// that starts with it must work, or say why it does not start.

/// `bytes` are records of the catalog, each behind two bytes of length.
package func fuzzCatalog(_ bytes: RawSpan) {
    var known: [[UInt8]] = []
    for record in FuzzedBroker.records(in: bytes) {
        guard let decoded = try? CatalogRecord(decoding: record.rawSpan) else { continue }
        var written = ByteBuffer()
        decoded.encode(into: &written)
        let again = try? CatalogRecord(decoding: written.bytes)
        precondition(again == decoded, "a record changes by being written and read")
        // A million partitions are legal, and take their time.
        if case .topic(_, _, let options) = decoded, options.partitions > 16 { continue }
        known.append(record)
    }
    let storage = MemoryStorage(isVolatile: false)
    FuzzedBroker.write(known, to: "__catalog", storage)
    FuzzedBroker.use(storage)
}

/// `bytes` are records of the cursors, each behind two bytes of length; the topics that they speak of are there.
package func fuzzCursors(_ bytes: RawSpan) {
    var known: [[UInt8]] = []
    for record in FuzzedBroker.records(in: bytes) {
        guard let decoded = try? CursorRecord(decoding: record.rawSpan) else { continue }
        var written = ByteBuffer()
        CursorRecord.encode(decoded.cursor, subscription: decoded.subscription, partition: decoded.partition, into: &written)
        guard let again = try? CursorRecord(decoding: written.bytes) else { preconditionFailure("a record that we wrote cannot be read") }
        let (before, after) = (decoded.cursor, again.cursor)
        precondition(before.floor == after.floor && before.next == after.next, "a cursor moves by being written and read")
        precondition(before.settled.count == after.settled.count && before.aside.count == after.aside.count)
        known.append(record)
    }
    let storage = MemoryStorage(isVolatile: false)
    for (path, content) in FuzzedBroker.files {
        do {
            try storage.makeDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
            try storage.create(path, content, syncs: false)
        } catch { preconditionFailure("a file in memory cannot be written: \(error)") }
    }
    FuzzedBroker.write(known, to: "__cursors", storage)
    FuzzedBroker.use(storage)
}

/// A broker over a directory in memory, and a session that uses everything that is there.
private final class FuzzedBroker {
    private static let directory = "data"
    private static let session = SessionID(rawValue: 1)
    private var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
    private let storage: MemoryStorage
    private let broker: Broker
    private var nextRequest: UInt64 = 1
    private var topics: [TopicDescription] = []
    private var subscribed = 0
    private var settled = 0

    /// Nil: it does not start.
    private init?(_ storage: MemoryStorage) {
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

    static func write(_ records: [[UInt8]], to name: String, _ storage: MemoryStorage) {
        let now = Now(instant: Instant(nanoseconds: 1), time: Timestamp(milliseconds: 1_600_000_000_000))
        let path = directory + "/" + name
        do {
            try storage.makeDirectory(path)
            for entry in try storage.list(path) { try storage.remove(path + "/" + entry.name) }
            let log = try Log(directory: path, number: 1, options: Log.Options(), storage: storage, now: now)
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

    private func work(for ticks: Int) {
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
                ask(
                    .append(Append(target: .topic(topic.id, partition: -1), content: .message(message), durability: .none, answer: .whenReached)),
                    input: payload)
                tick()
            }
            subscribed += 1
            ask(
                .subscribe(
                    Subscribe(
                        consumer: ConsumerID(rawValue: UInt32(subscribed)), topic: topic.name, name: topic.options.isQueue ? "queue" : "readers", mode: .shared,
                        start: .earliest, form: .records, messageCredit: 50, byteCredit: 1 << 20, options: SubscriptionOptions())))
        }
        for _ in 0..<ticks { tick() }
    }

    private func ask(_ request: Request, input: [UInt8] = []) {
        broker.perform(request, RequestID(rawValue: nextRequest), from: FuzzedBroker.session, input: input.rawSpan, now: now)
        nextRequest += 1
        takeEffects()
    }

    private func tick() {
        now.instant = now.instant.advanced(byNanoseconds: 100_000_000)
        now.time = Timestamp(milliseconds: now.time.rawValue + 100)
        broker.endTick(now: now)
        takeEffects()
        while let (ticket, result) = storage.nextCompletion() { broker.storageCompleted(ticket, result, now: now) }
        takeEffects()
    }

    private func takeEffects() {
        for effect in broker.takeEffects() {
            switch effect {
            case .respond(_, _, .topics(let listed)): topics = listed.filter { $0.partitions.count <= 16 }
            case .deliver(_, let delivery):
                precondition(delivery.first <= delivery.last && delivery.attempt >= 1)
                settled += 1
                let outcomes: [Settle.Outcome] = [.accept, .requeue, .accept, .reject, .release]
                let settle = Settle(
                    consumer: delivery.consumer, partition: delivery.partition, first: delivery.first, last: delivery.last,
                    outcome: outcomes[settled % outcomes.count], confirm: settled % 3 == 0)
                // Settling in the midst of the effects is allowed: what it causes comes with the next ones.
                broker.perform(.settle(settle), RequestID(rawValue: nextRequest), from: FuzzedBroker.session, input: [UInt8]().rawSpan, now: now)
                nextRequest += 1
            default: break
            }
        }
    }

    private func stop() {
        broker.shutDown(now: now)
        while let (ticket, result) = storage.nextCompletion() { broker.storageCompleted(ticket, result, now: now) }
    }
}
