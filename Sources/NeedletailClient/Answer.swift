internal import Bytes
internal import NativeCodec

/// What the server answered, in the client's own words.
enum Answer: Sendable {
    case ok
    case pong
    case count(Int64)
    case published(Published)
    case producer(ProducerIdentity)
    case offset(Int64, timestamp: Int64)
    case subscribed(isActive: Bool)
    case topics([TopicDescription])
    case exchanges([ExchangeDescription])
    case subscriptions([SubscriptionDescription])
    case statistics([Statistic])

    /// A list and its next part; nil when they are of different kinds.
    func joined(with next: Answer) -> Answer? {
        switch (self, next) {
        case (.topics(let first), .topics(let more)): .topics(first + more)
        case (.exchanges(let first), .exchanges(let more)): .exchanges(first + more)
        case (.subscriptions(let first), .subscriptions(let more)): .subscriptions(first + more)
        case (.statistics(let first), .statistics(let more)): .statistics(first + more)
        default: nil
        }
    }

    var listCount: Int {
        switch self {
        case .topics(let list): list.count
        case .exchanges(let list): list.count
        case .subscriptions(let list): list.count
        case .statistics(let list): list.count
        default: 0
        }
    }

    /// The part of the answer that `pick` wants; another kind of answer is the server's fault.
    func expect<T>(_ pick: (Answer) -> T?) throws(ClientError) -> T {
        guard let value = pick(self) else { throw .protocolViolation("an answer of the wrong kind") }
        return value
    }
}

/// Where a batch went.
struct Published: Equatable, Sendable {
    var partition: Int32
    var baseOffset: Int64
    var reached: Durability
    var logs: Int32
    var isDuplicate: Bool

    func receipt(_ index: Int64) -> Receipt {
        Receipt(partition: partition, offset: baseOffset &+ index, durability: reached, logs: Int(logs), isDuplicate: isDuplicate)
    }
}

/// From a frame to the verb of the connection that it means.
enum FrameDispatch {
    static func dispatch(_ header: FrameHeader, _ input: RawSpan, _ at: Int, to connection: Connection) throws {
        switch FrameType(rawValue: header.type) {
        case .deliverBatches:
            let frame = try Frame.DeliverBatches.decode(header, in: input, at: at)
            try connection.delivered(delivery(frame.head, input.extracting(frame.batches.indices), nil), to: frame.head.consumer)
        case .deliverRecords:
            let frame = try Frame.DeliverRecords.decode(header, in: input, at: at)
            let base = RecordBase(offset: frame.baseOffset, timestamp: frame.baseTimestamp)
            try connection.delivered(delivery(frame.head, input.extracting(frame.records.indices), base), to: frame.head.consumer)
        case .consumerEvent:
            let event = try Frame.ConsumerEvent.decode(header, in: input, at: at)
            let error = ClientError.refused(Refusal(number: event.code.rawValue, text: event.text))
            switch event.kind {
            case .activated: break
            case .ended: connection.end(event.consumer, error)
            case .settleFailed: connection.settleFailed(event.consumer, error)
            }
        case .error:
            let failure = try Frame.Failure.decode(header, in: input, at: at)
            guard !failure.isFatal else { throw ClientError.connectionLost("the server says: \(failure.text) (\(failure.code))") }
            connection.refused(header.correlation, Refusal(number: failure.code.rawValue, text: failure.text))
        case .published:
            let frame = try Frame.Published.decode(header, in: input, at: at)
            let published = Published(
                partition: frame.partition, baseOffset: frame.baseOffset, reached: Durability(frame.reached), logs: frame.logs, isDuplicate: frame.isDuplicate)
            try connection.answered(header.correlation, .published(published), hasMore: false)
        case .ok: try answer(Frame.OK.self) { _ in .ok }
        case .pong: try answer(Frame.Pong.self) { _ in .pong }
        case .count: try answer(Frame.Count.self) { .count($0.count) }
        case .producer: try answer(Frame.Producer.self) { .producer(ProducerIdentity(id: $0.id, epoch: $0.epoch)) }
        case .offset: try answer(Frame.FoundOffset.self) { .offset($0.offset, timestamp: $0.timestamp) }
        case .subscribed: try answer(Frame.Subscribed.self) { .subscribed(isActive: $0.isActive) }
        case .topics: try list(Frame.Topics.self) { .topics($0.map(TopicDescription.init)) }
        case .exchanges: try list(Frame.Exchanges.self) { .exchanges($0.map(ExchangeDescription.init)) }
        case .subscriptions: try list(Frame.Subscriptions.self) { .subscriptions($0.map(SubscriptionDescription.init)) }
        case .figures: try list(Frame.Figures.self) { .statistics($0.map { Statistic(name: $0.name, value: $0.value) }) }
        default: throw ClientError.protocolViolation("a frame of type \(header.type), which no server sends")
        }

        func answer<Body: FrameBody>(_: Body.Type, _ make: (Body) -> Answer) throws {
            try connection.answered(header.correlation, make(try Body.decode(header, in: input, at: at)), hasMore: false)
        }

        func list<Body: ListFrameBody>(_: Body.Type, _ make: ([Body.Element]) -> Answer) throws {
            let body = try Body.decode(header, in: input, at: at)
            try connection.answered(header.correlation, make(body.elements), hasMore: body.hasMore)
        }
    }

    private static func delivery(_ head: Frame.DeliveryHead, _ bytes: RawSpan, _ base: RecordBase?) throws(ClientError) -> Inbox.Delivery {
        // Counting with these numbers must not overflow, whatever they are.
        guard head.first >= 0, head.last >= head.first, head.last - head.first < Int64(Int32.max), head.partition >= 0, head.attempt >= 1 else {
            throw .protocolViolation("a delivery of offsets \(head.first) to \(head.last), attempt \(head.attempt)")
        }
        return Inbox.Delivery(
            partition: head.partition, first: head.first, last: head.last, attempt: Int(head.attempt), isRedelivery: head.isRedelivery,
            bytes: [UInt8](bytes), base: base)
    }
}
