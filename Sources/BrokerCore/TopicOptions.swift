package import SegmentLog

/// How a topic keeps and gives its messages. Every nil stands for the broker's default.
package struct TopicOptions: Equatable, Sendable {
    package var partitions: Int32
    package var storage: Storage
    package var durability: Durability?
    package var segmentBytes: Int?
    /// Rolls a segment that is this old, so that retention by age can act.
    package var segmentMilliseconds: Int64?
    package var retentionMilliseconds: Int64?
    /// Per partition.
    package var retentionBytes: Int64?
    /// Forgets what every durable subscription has settled.
    package var untilAcknowledged: Bool
    package var maxMessageBytes: Int?
    /// What subscriptions inherit.
    package var subscription: SubscriptionOptions
    /// A queue: one partition, kept until acknowledged, with the shared subscription `TopicOptions.queueSubscription`.
    package var isQueue: Bool
    /// What becomes of old records: forgotten, replaced by newer ones of their key, or both. nil: forgotten.
    package var cleanup: Cleanup?
    /// Whose time stands in the records. nil: the producer's.
    package var timestampType: TimestampType?
    /// Kept and shown, without effect: there is one replica.
    package var minInsyncReplicas: Int32?
    /// Under compaction: how long a record without value stays behind to say that its key is gone.
    package var deleteRetentionMilliseconds: Int64?
    /// Under compaction: how old a record is at least before a newer one may replace it, and at most before that is looked for.
    package var minCompactionLagMilliseconds: Int64?
    package var maxCompactionLagMilliseconds: Int64?
    /// Under compaction: which share of the log may be uncompacted before it is compacted again, 0 to 1.
    package var minCleanableDirtyRatio: Double?
    /// How far before and after the broker's time the producer's may lie.
    package var timestampBeforeMaxMilliseconds: Int64?
    package var timestampAfterMaxMilliseconds: Int64?
    /// Under the durability `interval`: how much time a power cut may take.
    package var flushIntervalMilliseconds: Int64?
    /// Settings of other brokers that have no effect here, kept to be shown to who set them.
    package var annotations: [String: String] = [:]

    package enum Storage: UInt8, Sendable { case disk = 0, memory = 1 }

    /// Bytes of one annotation, name and value.
    package static let annotationBytesMax = 1_024
    package static let queueSubscription = "queue"

    package init(
        partitions: Int32 = 1, storage: Storage = .disk, durability: Durability? = nil, segmentBytes: Int? = nil, segmentMilliseconds: Int64? = nil,
        retentionMilliseconds: Int64? = nil, retentionBytes: Int64? = nil, untilAcknowledged: Bool = false, maxMessageBytes: Int? = nil,
        subscription: SubscriptionOptions = SubscriptionOptions(), isQueue: Bool = false
    ) {
        self.partitions = partitions
        self.storage = storage
        self.durability = durability
        self.segmentBytes = segmentBytes
        self.segmentMilliseconds = segmentMilliseconds
        self.retentionMilliseconds = retentionMilliseconds
        self.retentionBytes = retentionBytes
        self.untilAcknowledged = untilAcknowledged
        self.maxMessageBytes = maxMessageBytes
        self.subscription = subscription
        self.isQueue = isQueue
    }

    package static func queue(
        _ subscription: SubscriptionOptions = SubscriptionOptions(), durability: Durability? = nil, storage: Storage = .disk
    ) -> TopicOptions {
        TopicOptions(storage: storage, durability: durability, untilAcknowledged: true, subscription: subscription, isQueue: true)
    }
}

package enum ExchangeKind: UInt8, Sendable, CaseIterable { case direct = 0, topic = 1, fanout = 2 }

/// From an exchange to a topic, a queue or another exchange.
package struct Binding: Hashable, Sendable {
    package var exchange: String
    package var destination: Destination
    /// Exact for `direct`, a pattern of words with `*` and `#` for `topic`, ignored by `fanout`.
    package var pattern: String

    package enum Destination: Hashable, Sendable {
        case topic(String)
        case exchange(String)
    }

    package init(exchange: String, destination: Destination, pattern: String) {
        self.exchange = exchange
        self.destination = destination
        self.pattern = pattern
    }
}
