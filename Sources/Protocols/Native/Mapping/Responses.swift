internal import BrokerCore
internal import Bytes
internal import NativeCodec
internal import SegmentLog

/// The broker's answers as frames of the server. Of tails only the size is said here.
extension Frame.Published {
    init(_ appended: Appended) {
        self.init(
            topic: appended.topic.rawValue, partition: appended.partition, baseOffset: appended.baseOffset.rawValue, count: appended.count,
            logs: appended.logs, reached: Frame.Durability(appended.reached), isDuplicate: appended.duplicate)
    }
}

extension Frame.Fetched {
    init(_ fetched: Fetched) {
        self.init(
            topic: fetched.topic.rawValue, partition: fetched.partition, start: fetched.start.rawValue, visibleEnd: fetched.visibleEnd.rawValue,
            batches: ByteRange(start: 0, count: fetched.slice?.range.count ?? 0))
    }
}

extension Frame.DeliveryHead {
    init(_ delivery: Delivery) {
        self.init(
            consumer: delivery.consumer.rawValue, topic: delivery.topic.rawValue, partition: delivery.partition, attempt: delivery.attempt,
            first: delivery.first.rawValue, last: delivery.last.rawValue, isRedelivery: delivery.isRedelivery)
    }
}

extension Frame.DeliverBatches {
    init(_ delivery: Delivery, _ slice: LogSlice) {
        self.init(head: Frame.DeliveryHead(delivery), batches: ByteRange(start: 0, count: slice.range.count))
    }
}

extension Frame.DeliverRecords {
    init(_ delivery: Delivery, _ slice: LogSlice, _ base: RecordBase) {
        self.init(
            head: Frame.DeliveryHead(delivery), baseOffset: base.offset.rawValue, baseTimestamp: base.timestamp.rawValue,
            records: ByteRange(start: 0, count: slice.range.count))
    }
}

extension Frame.ConsumerEvent {
    init(_ consumer: ConsumerID, _ event: ConsumerEvent) {
        switch event {
        case .activated: self.init(consumer: consumer.rawValue, kind: .activated, code: ErrorCode(rawValue: 0), text: "")
        case .ended(let error): self.init(consumer: consumer.rawValue, kind: .ended, code: ErrorCode(error.code), text: error.text)
        case .settleFailed(let error): self.init(consumer: consumer.rawValue, kind: .settleFailed, code: ErrorCode(error.code), text: error.text)
        }
    }
}

extension Frame.TopicDescription {
    init(_ topic: TopicDescription, showsCompaction: Bool) {
        self.init(
            id: topic.id.rawValue, name: topic.name, options: Frame.TopicOptions(topic.options),
            partitions: topic.partitions.map { partition in
                Frame.PartitionDescription(
                    index: partition.index, start: partition.start.rawValue, flushed: partition.flushed.rawValue, end: partition.end.rawValue,
                    bytes: partition.bytes, segments: partition.segments, fault: partition.fault)
            })
        if !showsCompaction { options.cleanup = .delete }
    }
}

extension Frame.ExchangeDescription {
    init(_ exchange: ExchangeDescription) {
        self.init(
            id: exchange.id.rawValue, name: exchange.name, kind: Frame.ExchangeKind(exchange.kind),
            bindings: exchange.bindings.map { Frame.Binding($0) })
    }
}

extension Frame.SubscriptionDescription {
    init(_ subscription: SubscriptionDescription) {
        self.init(
            id: subscription.id.rawValue, topic: subscription.topic, name: subscription.name, mode: Frame.SubscriptionMode(subscription.mode),
            consumers: subscription.consumers,
            cursors: subscription.cursors.map { cursor in
                Frame.CursorDescription(
                    partition: cursor.partition, floor: cursor.floor.rawValue, next: cursor.next.rawValue, end: cursor.end.rawValue,
                    inFlight: cursor.inFlight, redeliver: cursor.redeliver)
            })
    }
}

extension Frame.Figure {
    init(_ statistic: Statistic) { self.init(name: statistic.name, value: statistic.value) }
}
