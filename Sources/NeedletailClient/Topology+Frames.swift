internal import NativeCodec

// The client's words for things and the codec's, in both directions.

extension Durability {
    init(_ frame: Frame.Durability) { self = Durability(rawValue: frame.rawValue) ?? .none }
    var frame: Frame.Durability { Frame.Durability(rawValue: rawValue) ?? .none }
}

extension StartPosition {
    var frame: Frame.Position {
        switch self {
        case .earliest: .earliest
        case .latest: .latest
        case .offset(let offset): .offset(max(0, offset))
        case .time(let time): .time(milliseconds: time)
        }
    }
}

extension TopicOptions {
    init(_ frame: Frame.TopicOptions) {
        partitions = frame.partitions
        cleanup = Cleanup(frame.cleanup)
        storage = frame.storage == .memory ? .memory : .disk
        durability = frame.durability.map { Durability($0) }
        segmentBytes = frame.segmentBytes
        segmentAge = frame.segmentMilliseconds.map { .milliseconds($0) }
        retention = frame.retentionMilliseconds.map { .milliseconds($0) }
        retentionBytes = frame.retentionBytes
        untilAcknowledged = frame.untilAcknowledged
        maxMessageBytes = frame.maxMessageBytes
        lease = frame.subscription.leaseMilliseconds.map { .milliseconds($0) }
        deliveryLimit = frame.subscription.deliveryLimit.map { Int($0) }
        deadLetterTopic = frame.subscription.deadLetterTopic
        isQueue = frame.isQueue
    }

    var frame: Frame.TopicOptions {
        Frame.TopicOptions(
            partitions: partitions, storage: storage == .memory ? .memory : .disk, durability: durability?.frame, segmentBytes: segmentBytes,
            segmentMilliseconds: segmentAge?.milliseconds, retentionMilliseconds: retention?.milliseconds, retentionBytes: retentionBytes,
            untilAcknowledged: untilAcknowledged, maxMessageBytes: maxMessageBytes,
            subscription: Frame.SubscriptionOptions(
                leaseMilliseconds: lease?.milliseconds32, deliveryLimit: deliveryLimit.map { UInt16(clamping: $0) }, deadLetterTopic: deadLetterTopic),
            isQueue: isQueue, cleanup: cleanup.frame)
    }
}

extension Cleanup {
    init(_ frame: Frame.Cleanup) {
        switch frame {
        case .delete: self = .delete
        case .compact: self = .compact
        case .both: self = .both
        }
    }

    var frame: Frame.Cleanup {
        switch self {
        case .delete: .delete
        case .compact: .compact
        case .both: .both
        }
    }
}

extension TopicChange {
    var frame: Frame.TopicChange {
        Frame.TopicChange(
            durability: durability?.frame, retentionMilliseconds: retention?.milliseconds, retentionBytes: retentionBytes, maxMessageBytes: maxMessageBytes,
            partitions: partitions, cleanup: cleanup?.frame)
    }
}

extension TopicDescription {
    init(_ frame: Frame.TopicDescription) {
        self.init(id: frame.id, name: frame.name, options: TopicOptions(frame.options), partitions: frame.partitions.map(PartitionDescription.init))
    }
}

extension PartitionDescription {
    init(_ frame: Frame.PartitionDescription) {
        self.init(
            index: frame.index, start: frame.start, flushed: frame.flushed, end: frame.end, bytes: frame.bytes, segments: frame.segments,
            fault: frame.fault)
    }
}

extension ExchangeKind {
    init(_ frame: Frame.ExchangeKind) { self = ExchangeKind(rawValue: frame.rawValue) ?? .direct }
    var frame: Frame.ExchangeKind { Frame.ExchangeKind(rawValue: rawValue) ?? .direct }
}

extension Binding {
    init(_ frame: Frame.Binding) {
        switch frame.destination {
        case .topic(let name): self.init(from: frame.exchange, to: .topic(name), matching: frame.pattern)
        case .exchange(let name): self.init(from: frame.exchange, to: .exchange(name), matching: frame.pattern)
        }
    }

    var frame: Frame.Binding {
        switch destination {
        case .topic(let name): Frame.Binding(exchange: exchange, destination: .topic(name), pattern: pattern)
        case .exchange(let name): Frame.Binding(exchange: exchange, destination: .exchange(name), pattern: pattern)
        }
    }
}

extension ExchangeDescription {
    init(_ frame: Frame.ExchangeDescription) {
        self.init(id: frame.id, name: frame.name, kind: ExchangeKind(frame.kind), bindings: frame.bindings.map { Binding($0) })
    }
}

extension SubscriptionDescription {
    init(_ frame: Frame.SubscriptionDescription) {
        self.init(
            id: frame.id, topic: frame.topic, name: frame.name, isShared: frame.mode == .shared, consumers: frame.consumers,
            cursors: frame.cursors.map(CursorDescription.init))
    }
}

extension CursorDescription {
    init(_ frame: Frame.CursorDescription) {
        self.init(
            partition: frame.partition, floor: frame.floor, next: frame.next, end: frame.end, inFlight: frame.inFlight, redeliver: frame.redeliver)
    }
}

extension Duration {
    /// Whole milliseconds; negative times (no limit) stay -1.
    var milliseconds: Int64 { self < .zero ? -1 : Int64(clamping: nanoseconds / 1_000_000) }
}
