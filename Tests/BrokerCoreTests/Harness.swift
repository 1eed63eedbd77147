import BrokerCore
import Bytes
import SegmentLog

/// A broker on memory that behaves as a disk, driven by hand: requests, ticks, completions, the time.
final class Harness {
    var storage: MemoryStorage
    /// What the broker sees instead of `storage`, where a test lets things fail.
    var failing: FailingStorage?
    var broker: Broker
    var options: Broker.Options
    var now = Now(instant: Instant(nanoseconds: 1_000_000_000), time: Timestamp(milliseconds: 1_700_000_000_000))
    var nextRequest: UInt64 = 1
    var responses: [RequestID: Response] = [:]
    var answered: [RequestID] = []
    /// Of long lists, what came before the answer that ends them.
    var pieces: [RequestID: [[SubscriptionDescription]]] = [:]
    var deliveries: [(session: SessionID, delivery: Delivery, payloads: [String])] = []
    var events: [(session: SessionID, consumer: ConsumerID, event: ConsumerEvent)] = []
    /// What a session may still be sent, where a test watches it.
    var credit: [ConsumerID: Int64] = [:]

    static let one = SessionID(rawValue: 1)
    static let two = SessionID(rawValue: 2)

    init(
        storage: MemoryStorage = MemoryStorage(isVolatile: false), failing: FailingStorage? = nil, _ adjust: (inout Broker.Options) -> Void = { _ in }
    ) throws {
        self.failing = failing
        self.storage = storage
        options = Broker.Options(directory: "/data")
        options.log.segmentBytes = 64 << 10
        adjust(&options)
        broker = try Broker(options: options, storage: failing ?? storage, now: now)
        broker.open(Harness.one)
        broker.open(Harness.two)
    }

    /// Starts again from what the storage holds; `clean` after an orderly stop.
    func restart(clean: Bool) throws {
        if clean {
            settleDown()
            broker.shutDown(now: now)
            take()
        }
        // What the old process had asked for is answered to nobody.
        while nextCompletion() != nil {}
        deliveries = []
        events = []
        broker = try Broker(options: options, storage: failing ?? storage, now: now)
        broker.open(Harness.one)
        broker.open(Harness.two)
    }

    private func nextCompletion() -> (StorageTicket, StorageResult)? { failing?.nextCompletion() ?? storage.nextCompletion() }

    // MARK: Driving

    @discardableResult func ask(_ request: Request, from session: SessionID = Harness.one, input: [UInt8] = []) -> RequestID {
        let id = RequestID(rawValue: nextRequest)
        nextRequest += 1
        broker.perform(request, id, from: session, input: input.rawSpan, now: now)
        take()
        return id
    }

    /// Asks, and ticks until it is answered.
    @discardableResult func answer(_ request: Request, from session: SessionID = Harness.one, input: [UInt8] = []) -> Response? {
        let id = ask(request, from: session, input: input)
        settleDown()
        return responses[id]
    }

    func tick() {
        broker.endTick(now: now)
        take()
    }

    func completeStorage() {
        while let (ticket, result) = nextCompletion() {
            broker.storageCompleted(ticket, result, now: now)
            take()
        }
    }

    /// Ticks until nothing more happens at this time.
    func settleDown() {
        for _ in 0..<200 {
            tick()
            completeStorage()
            if broker.nextDeadline > now.instant, broker.isQuiet { return }
        }
    }

    func advance(milliseconds: UInt64) {
        now.instant = now.instant.advanced(byNanoseconds: milliseconds * 1_000_000)
        now.time = Timestamp(milliseconds: now.time.rawValue + Int64(milliseconds))
        settleDown()
    }

    func take() {
        for effect in broker.takeEffects() {
            switch effect {
            case .respond(_, let id, .someSubscriptions(let piece)): pieces[id, default: []].append(piece)
            case .respond(_, let id, let response):
                precondition(responses[id] == nil, "answered twice")
                responses[id] = response
                answered.append(id)
            case .deliver(let session, let delivery):
                deliveries.append((session, delivery, payloads(delivery)))
                credit[delivery.consumer]? -= delivery.last - delivery.first + 1
            case .notify(let session, let consumer, let event): events.append((session, consumer, event))
            }
        }
    }

    // MARK: Shorthands

    func create(_ name: String, _ options: TopicOptions = TopicOptions()) throws -> TopicID {
        guard case .topics(let made)? = answer(.createTopic(name: name, options)), let first = made.first else { throw Failure.notMade }
        return first.id
    }

    func message(_ topic: TopicID, _ text: String, key: String? = nil, partition: Int32 = -1, durability: Durability = .none) -> (Request, [UInt8]) {
        let bytes = Array((key ?? "").utf8) + Array(text.utf8)
        let keyCount = key?.utf8.count ?? 0
        let ranges = MessageRanges(
            key: key == nil ? nil : ByteRange(start: 0, count: keyCount), payload: ByteRange(start: keyCount, count: bytes.count - keyCount), headers: .empty,
            headerCount: 0, timestamp: nil, producer: nil)
        return (.append(Append(target: .topic(topic, partition: partition), content: .message(ranges), durability: durability, answer: .whenReached)), bytes)
    }

    @discardableResult func publish(_ topic: TopicID, _ text: String, key: String? = nil, partition: Int32 = -1) -> RequestID {
        let (request, bytes) = message(topic, text, key: key, partition: partition)
        return ask(request, input: bytes)
    }

    func publish(_ topic: TopicID, count: Int, from first: Int = 0) {
        for number in first..<(first + count) { publish(topic, "m\(number)") }
        settleDown()
    }

    @discardableResult func subscribe(
        _ topic: String, _ name: String, _ mode: SubscriptionMode = .shared, consumer: UInt32 = 1, session: SessionID = Harness.one,
        start: StartPosition = .earliest, form: DeliveryForm = .records, credit: Int32 = 100, options: SubscriptionOptions = SubscriptionOptions(),
        settlesItself: Bool = false
    ) -> Response? {
        let id = ConsumerID(rawValue: consumer)
        self.credit[id] = Int64(credit)
        return answer(
            .subscribe(
                Subscribe(
                    consumer: id, topic: topic, name: name, mode: mode, start: start, form: form, messageCredit: credit, byteCredit: .max, options: options,
                    settlesItself: settlesItself)), from: session)
    }

    @discardableResult func settle(
        _ delivery: Delivery, _ outcome: Settle.Outcome = .accept, session: SessionID = Harness.one, confirm: Bool = false
    ) -> RequestID {
        ask(
            .settle(
                Settle(
                    consumer: delivery.consumer, partition: delivery.partition, first: delivery.first, last: delivery.last, outcome: outcome, confirm: confirm)),
            from: session)
    }

    /// The deliveries since the last call.
    func taken() -> [(session: SessionID, delivery: Delivery, payloads: [String])] {
        defer { deliveries = [] }
        return deliveries
    }

    func takenPayloads() -> [String] { taken().flatMap(\.payloads) }

    func statistic(_ name: String) -> Double? {
        guard case .statistics(let list)? = answer(.statistics) else { return nil }
        return list.first { $0.name == "needletail_" + name }?.value
    }

    enum Failure: Error { case notMade }

    func errorCode(_ response: Response?) -> BrokerError.Code? {
        switch response {
        case .failed(let error)?: error.code
        case .fetched(let parts)?: parts.lazy.compactMap(\.failure?.code).first
        default: nil
        }
    }

    func payloads(_ delivery: Delivery) -> [String] {
        records(delivery).map(\.payload)
    }

    struct Received: Equatable {
        var offset: Int64
        var payload: String
        var headers: [String: String]
    }

    /// What a session would make of the delivery.
    func records(_ delivery: Delivery) -> [Received] {
        var found: [Received] = []
        func read(_ slice: LogSlice, _ range: Range<Int>, _ base: Int64) {
            let bytes = slice.memory.bytes(slice.range)
            do {
                var reader = try RecordReader(bytes, records: range)
                while let record = try reader.next() {
                    let offset = base + Int64(record.offsetDelta)
                    guard offset >= delivery.first.rawValue, offset <= delivery.last.rawValue else { continue }
                    var headers: [String: String] = [:]
                    var headerReader = try RecordHeaderReader(bytes, headers: record.headers)
                    while let (name, value) = try headerReader.next() {
                        headers[String(decodingBytes: bytes.extracting(name.indices))] =
                            value.map { String(decodingBytes: bytes.extracting($0.indices)) } ?? ""
                    }
                    let payload = record.value.map { String(decodingBytes: bytes.extracting($0.indices)) } ?? "null"
                    found.append(Received(offset: offset, payload: payload, headers: headers))
                }
            } catch { found.append(Received(offset: -1, payload: "unreadable: \(error)", headers: [:])) }
        }
        switch delivery.content {
        case .records(let slice, let base): read(slice, 0..<slice.range.count, base.offset.rawValue)
        case .batches(let slice):
            var at = 0
            let bytes = slice.memory.bytes(slice.range)
            while at < slice.range.count, let header = try? RecordBatchHeader(decoding: bytes, at: at) {
                read(slice, (at + RecordBatchHeader.byteCount)..<(at + header.totalByteCount), header.baseOffset.rawValue)
                at += header.totalByteCount
            }
        }
        return found
    }
}

func isDone(_ response: Response?) -> Bool { if case .done? = response { true } else { false } }
