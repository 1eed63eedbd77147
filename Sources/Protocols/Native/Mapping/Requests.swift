internal import BrokerCore
internal import Bytes
internal import NativeCodec
internal import SegmentLog

/// Frames of the client as the broker's verbs. Values only: nothing here reads bytes, and nothing decides.
extension Append {
    init(_ frame: Frame.Publish) {
        self.init(
            target: Target(frame.target),
            content: .message(
                MessageRanges(
                    key: frame.key, payload: frame.payload, headers: frame.headers, headerCount: Int32(frame.headerCount),
                    timestamp: frame.timestamp.map { Timestamp(milliseconds: $0) }, producer: frame.producer.map { ProducerSequence($0) })),
            durability: Durability(frame.durability), answer: frame.wantsAnswer ? .whenReached : .never)
    }

    init(_ frame: Frame.PublishBatch) {
        self.init(
            target: Target(frame.target), content: .batch(frame.batch), durability: Durability(frame.durability),
            answer: frame.wantsAnswer ? .whenReached : .never)
    }
}

extension Append.Target {
    init(_ target: Frame.Target) {
        switch target {
        case .topic(let id, let partition): self = .topic(TopicID(rawValue: id), partition: partition)
        case .exchange(let id, let key): self = .exchange(ExchangeID(rawValue: id), routingKey: key)
        }
    }
}

extension ProducerSequence {
    init(_ producer: Frame.ProducerSequence) { self.init(id: producer.id, epoch: producer.epoch, sequence: producer.sequence) }
}

extension Fetch {
    init(_ frame: Frame.Fetch, atMost room: Int) {
        self.init(
            topic: TopicID(rawValue: frame.topic), partition: frame.partition, from: Offset(frame.from), maxBytes: min(Int(frame.maxBytes), room),
            minBytes: min(Int(frame.minBytes), room), waitMilliseconds: frame.waitMilliseconds)
    }
}

extension Settle {
    init(_ consumer: UInt32, _ range: Frame.Settle.Range, confirm: Bool) {
        self.init(
            consumer: ConsumerID(rawValue: consumer), partition: range.partition, first: Offset(range.first), last: Offset(range.last),
            outcome: Outcome(range.outcome), confirm: confirm)
    }
}

extension Request {
    init(_ frame: Frame.Credit) {
        self = .credit(ConsumerID(rawValue: frame.consumer), messages: frame.messages, bytes: frame.bytes)
    }
    init(_ frame: Frame.StartProducer) { self = .startProducer(id: frame.id, epoch: frame.epoch) }
    init(_ frame: Frame.FindOffset) {
        self = .findOffset(topic: frame.topic, partition: frame.partition, position: StartPosition(frame.position))
    }
    init(_ frame: Frame.Subscribe) {
        self = .subscribe(
            Subscribe(
                consumer: ConsumerID(rawValue: frame.consumer), topic: frame.topic, name: frame.name, mode: SubscriptionMode(frame.mode),
                start: StartPosition(frame.start), form: DeliveryForm(frame.form), messageCredit: frame.messageCredit,
                byteCredit: frame.byteCredit, options: SubscriptionOptions(frame.options), settlesItself: frame.settlesItself))
    }
    init(_ frame: Frame.Unsubscribe) { self = .unsubscribe(ConsumerID(rawValue: frame.consumer)) }
    init(_ frame: Frame.ExtendLease) {
        self = .extendLease(
            ConsumerID(rawValue: frame.consumer), partition: frame.partition, first: Offset(frame.first), last: Offset(frame.last),
            milliseconds: frame.milliseconds)
    }
    init(_ frame: Frame.Seek) {
        self = .seek(topic: frame.topic, subscription: frame.subscription, position: StartPosition(frame.position))
    }
    init(_ frame: Frame.DeleteSubscription) { self = .deleteSubscription(topic: frame.topic, name: frame.name) }
    init(_ frame: Frame.ListSubscriptions) { self = .listSubscriptions(topic: frame.name) }
    init(_ frame: Frame.CreateTopic) { self = .createTopic(name: frame.name, TopicOptions(frame.options)) }
    init(_ frame: Frame.AlterTopic) { self = .alterTopic(name: frame.name, TopicChange(frame.change)) }
    init(_ frame: Frame.DeleteTopic) { self = .deleteTopic(name: frame.name) }
    init(_ frame: Frame.DescribeTopic) { self = .describeTopic(name: frame.name) }
    init(_: Frame.ListTopics) { self = .listTopics }
    init(_: Frame.CreateReplyTopic) { self = .createReplyTopic }
    init(_ frame: Frame.CreateExchange) { self = .createExchange(name: frame.name, ExchangeKind(frame.kind)) }
    init(_ frame: Frame.DeleteExchange) { self = .deleteExchange(name: frame.name) }
    init(_ frame: Frame.Bind) { self = .bind(Binding(frame.binding)) }
    init(_ frame: Frame.Unbind) { self = .unbind(Binding(frame.binding)) }
    init(_: Frame.ListExchanges) { self = .listExchanges }
    init(_ frame: Frame.FindExchange) { self = .findExchange(name: frame.name) }
    init(_ frame: Frame.Purge) {
        self = .purge(topic: frame.topic, partition: frame.partition, before: frame.before.map { Offset($0) })
    }
    init(_ frame: Frame.Redrive) { self = .redrive(topic: frame.topic, limit: frame.limit) }
    init(_: Frame.Statistics) { self = .statistics }
    init(_ frame: Frame.Trace) { self = .trace(topic: frame.topic, milliseconds: frame.waitMilliseconds) }
}
