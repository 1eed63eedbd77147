internal import BrokerCore
internal import NativeCodec
internal import SegmentLog

/// The values that both sides have, one by one. The numbers on the wire are the document's; that the broker's happen to be the same
/// is not relied upon.
extension Durability {
    init(_ value: Frame.Durability) {
        switch value {
        case .none: self = .none
        case .interval: self = .interval
        case .group: self = .group
        case .each: self = .each
        }
    }
}

extension Frame.Durability {
    init(_ value: Durability) {
        switch value {
        case .none: self = .none
        case .interval: self = .interval
        case .group: self = .group
        case .each: self = .each
        }
    }
}

extension SubscriptionMode {
    init(_ value: Frame.SubscriptionMode) {
        switch value {
        case .exclusive: self = .exclusive
        case .shared: self = .shared
        case .broadcast: self = .broadcast
        }
    }
}

extension Frame.SubscriptionMode {
    init(_ value: SubscriptionMode) {
        switch value {
        case .exclusive: self = .exclusive
        case .shared: self = .shared
        case .broadcast: self = .broadcast
        }
    }
}

extension DeliveryForm {
    init(_ value: Frame.DeliveryForm) {
        switch value {
        case .batches: self = .batches
        case .records: self = .records
        }
    }
}

extension Settle.Outcome {
    init(_ value: Frame.Outcome) {
        switch value {
        case .accept: self = .accept
        case .requeue: self = .requeue
        case .reject: self = .reject
        case .release: self = .release
        }
    }
}

extension ExchangeKind {
    init(_ value: Frame.ExchangeKind) {
        switch value {
        case .direct: self = .direct
        case .topic: self = .topic
        case .fanout: self = .fanout
        }
    }
}

extension Frame.ExchangeKind {
    init(_ value: ExchangeKind) {
        switch value {
        case .direct: self = .direct
        case .topic: self = .topic
        case .fanout: self = .fanout
        }
    }
}

extension StartPosition {
    init(_ value: Frame.Position) {
        switch value {
        case .earliest: self = .earliest
        case .latest: self = .latest
        case .offset(let offset): self = .offset(Offset(offset))
        case .time(let milliseconds): self = .time(Timestamp(milliseconds: milliseconds))
        }
    }
}

extension SubscriptionOptions {
    init(_ value: Frame.SubscriptionOptions) {
        self.init(
            leaseMilliseconds: value.leaseMilliseconds, deliveryLimit: value.deliveryLimit, deadLetterTopic: value.deadLetterTopic)
    }
}

extension Frame.SubscriptionOptions {
    init(_ value: SubscriptionOptions) {
        self.init(
            leaseMilliseconds: value.leaseMilliseconds, deliveryLimit: value.deliveryLimit, deadLetterTopic: value.deadLetterTopic)
    }
}

extension TopicOptions {
    init(_ value: Frame.TopicOptions) {
        self.init(
            partitions: value.partitions, storage: value.storage == .memory ? .memory : .disk, durability: value.durability.map { Durability($0) },
            segmentBytes: value.segmentBytes.map { Int(clamping: $0) }, segmentMilliseconds: value.segmentMilliseconds,
            retentionMilliseconds: value.retentionMilliseconds, retentionBytes: value.retentionBytes,
            untilAcknowledged: value.untilAcknowledged, maxMessageBytes: value.maxMessageBytes.map { Int(clamping: $0) },
            subscription: SubscriptionOptions(value.subscription), isQueue: value.isQueue)
        if value.cleanup != .delete { cleanup = Cleanup(value.cleanup) }
    }
}

extension Cleanup {
    init(_ value: Frame.Cleanup) {
        switch value {
        case .delete: self = .delete
        case .compact: self = .compact
        case .both: self = .both
        }
    }
}

extension Frame.Cleanup {
    init(_ value: Cleanup) {
        switch value {
        case .delete: self = .delete
        case .compact: self = .compact
        case .both: self = .both
        }
    }
}

extension Frame.TopicOptions {
    init(_ value: TopicOptions) {
        self.init(
            partitions: value.partitions, storage: value.storage == .memory ? .memory : .disk,
            durability: value.durability.map { Frame.Durability($0) }, segmentBytes: value.segmentBytes.map { Int64($0) },
            segmentMilliseconds: value.segmentMilliseconds, retentionMilliseconds: value.retentionMilliseconds,
            retentionBytes: value.retentionBytes, untilAcknowledged: value.untilAcknowledged,
            maxMessageBytes: value.maxMessageBytes.map { Int64($0) }, subscription: Frame.SubscriptionOptions(value.subscription),
            isQueue: value.isQueue, cleanup: value.untilAcknowledged ? .delete : Frame.Cleanup(value.cleanup ?? .delete))
    }
}

extension TopicChange {
    init(_ value: Frame.TopicChange) {
        self.init(
            durability: value.durability.map { Durability($0) }, retentionMilliseconds: value.retentionMilliseconds,
            retentionBytes: value.retentionBytes, maxMessageBytes: value.maxMessageBytes.map { Int(clamping: $0) },
            subscription: value.subscription.map { SubscriptionOptions($0) }, partitions: value.partitions)
        cleanup = Change(value.cleanup.map { Cleanup($0) })
    }
}

extension Binding {
    init(_ value: Frame.Binding) {
        let destination: Destination =
            switch value.destination {
            case .topic(let name): .topic(name)
            case .exchange(let name): .exchange(name)
            }
        self.init(exchange: value.exchange, destination: destination, pattern: value.pattern)
    }
}

extension Frame.Binding {
    init(_ value: Binding) {
        let destination: Destination =
            switch value.destination {
            case .topic(let name): .topic(name)
            case .exchange(let name): .exchange(name)
            }
        self.init(exchange: value.exchange, destination: destination, pattern: value.pattern)
    }
}

extension ErrorCode {
    /// Both number their codes alike; a test compares the names.
    init(_ code: BrokerError.Code) { self.init(rawValue: code.rawValue) }
}
