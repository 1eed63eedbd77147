package import SegmentLog

/// What the broker counts, in plain integers of its one thread. Each limit has a counter of its name.
package struct BrokerCounters: Sendable, Equatable {
    package var messagesIn: UInt64 = 0
    package var bytesIn: UInt64 = 0
    package var requests: UInt64 = 0
    package var requestsFailed: UInt64 = 0
    package var duplicates: UInt64 = 0
    package var unroutable: UInt64 = 0
    /// Records handed to consumers, and how many of them again.
    package var deliveries: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var redeliveries: UInt64 = 0
    package var settled: UInt64 = 0
    package var requeued: UInt64 = 0
    package var leasesExpired: UInt64 = 0
    package var deadLettered: UInt64 = 0
    /// Past the delivery limit or rejected where there is no dead-letter topic.
    package var dropped: UInt64 = 0
    package var movesFailed: UInt64 = 0
    package var redriven: UInt64 = 0
    package var purged: UInt64 = 0
    package var fetches: UInt64 = 0
    package var fetchesParked: UInt64 = 0
    package var flushes: UInt64 = 0
    /// Those that publishers waited for for more than a second.
    package var flushesSlow: UInt64 = 0
    /// Work in the background that failed, and that the logs do without.
    package var workFailed: [LogWork: UInt64] = [:]
    package var logsFailed: UInt64 = 0
    package var diskLow: UInt64 = 0
    package var descriptorsLow: UInt64 = 0
    package var cursorWrites: UInt64 = 0
    /// Generations of groups; members that were taken for gone; offsets committed, and forgotten because nobody came back.
    package var rebalances: UInt64 = 0
    package var membersExpired: UInt64 = 0
    package var offsetsCommitted: UInt64 = 0
    package var offsetsExpired: UInt64 = 0
    package var groupWrites: UInt64 = 0
    /// Old survivors that were copied, so that their segments could go.
    package var setAside: UInt64 = 0
    /// Stored batches that could not be handed out.
    package var unreadable: UInt64 = 0
    /// Batches that were refused because their records lie.
    package var unreadableRefused: UInt64 = 0

    /// Passes over logs whose newest record of each key is kept, those that failed, and what they removed.
    package var compactions: UInt64 = 0
    package var compactionsFailed: UInt64 = 0
    package var compactedRecords: UInt64 = 0
    package var compactedBytes: UInt64 = 0
    /// How long the last one took.
    package var compactionNanoseconds: UInt64 = 0

    package var memory: UInt64 = 0
    package var consumersPerSession: UInt64 = 0
    package var unsettledPerConsumer: UInt64 = 0
    package var parkedFetches: UInt64 = 0
    package var topics: UInt64 = 0
    package var partitions: UInt64 = 0
    package var partitionsPerTopic: UInt64 = 0
    package var annotations: UInt64 = 0
    package var compactionBytes: UInt64 = 0
    package var exchanges: UInt64 = 0
    package var bindings: UInt64 = 0
    package var subscriptions: UInt64 = 0
    package var producers: UInt64 = 0
    package var nameBytes: UInt64 = 0
    package var routingKeyBytes: UInt64 = 0
    package var routeDepth: UInt64 = 0
    package var settledRanges: UInt64 = 0
    package var setAsideLimit: UInt64 = 0
    package var groups: UInt64 = 0
    package var membersPerGroup: UInt64 = 0
    package var memberBytes: UInt64 = 0
    package var offsetsPerGroup: UInt64 = 0
    package var offsetMetadataBytes: UInt64 = 0
    package var groupBytes: UInt64 = 0

    package init() {}

    /// The limits' counters by the limits' keys.
    var limits: [(String, UInt64)] {
        [
            ("memory", memory),
            ("consumers_per_session", consumersPerSession), ("unsettled_per_consumer", unsettledPerConsumer), ("parked_fetches", parkedFetches),
            ("topics", topics), ("partitions", partitions), ("partitions_per_topic", partitionsPerTopic), ("annotations", annotations),
            ("compaction_memory", compactionBytes),
            ("exchanges", exchanges), ("bindings", bindings),
            ("subscriptions", subscriptions), ("producers", producers), ("name_length", nameBytes), ("routing_key_length", routingKeyBytes),
            ("route_depth", routeDepth), ("settled_ranges", settledRanges), ("set_aside", setAsideLimit),
            ("groups", groups), ("members_per_group", membersPerGroup), ("member_size", memberBytes), ("offsets_per_group", offsetsPerGroup),
            ("offset_metadata_size", offsetMetadataBytes), ("group_memory", groupBytes),
        ]
    }
}
