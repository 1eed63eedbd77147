package import SegmentLog

/// What happens to one setting.
package enum Change<Value: Equatable & Sendable>: Equatable, Sendable {
    case leave
    /// Back to the broker's default.
    case reset
    case set(Value)

    /// nil leaves as it is.
    package init(_ value: Value?) { self = value.map { .set($0) } ?? .leave }

    func apply(to setting: inout Value?) {
        switch self {
        case .leave: break
        case .reset: setting = nil
        case .set(let value): setting = value
        }
    }
}

/// What `alterTopic` may change on a living topic. Each setting is left, set, or put back to the broker's default.
package struct TopicChange: Equatable, Sendable {
    /// So many partitions instead of fewer; nil leaves them. They never become fewer.
    package var partitions: Int32?
    package var durability: Change<Durability> = .leave
    package var flushIntervalMilliseconds: Change<Int64> = .leave
    package var segmentBytes: Change<Int> = .leave
    package var segmentMilliseconds: Change<Int64> = .leave
    package var retentionMilliseconds: Change<Int64> = .leave
    package var retentionBytes: Change<Int64> = .leave
    package var maxMessageBytes: Change<Int> = .leave
    package var cleanup: Change<Cleanup> = .leave
    package var timestampType: Change<TimestampType> = .leave
    package var minInsyncReplicas: Change<Int32> = .leave
    package var deleteRetentionMilliseconds: Change<Int64> = .leave
    package var minCompactionLagMilliseconds: Change<Int64> = .leave
    package var maxCompactionLagMilliseconds: Change<Int64> = .leave
    package var minCleanableDirtyRatio: Change<Double> = .leave
    package var timestampBeforeMaxMilliseconds: Change<Int64> = .leave
    package var timestampAfterMaxMilliseconds: Change<Int64> = .leave
    /// By name; those that are not named are left.
    package var annotations: [String: Change<String>] = [:]
    package var subscription: SubscriptionOptions?

    /// Arguments that are nil leave as it is.
    package init(
        durability: Durability? = nil, retentionMilliseconds: Int64? = nil, retentionBytes: Int64? = nil, maxMessageBytes: Int? = nil,
        subscription: SubscriptionOptions? = nil, partitions: Int32? = nil
    ) {
        self.durability = Change(durability)
        self.retentionMilliseconds = Change(retentionMilliseconds)
        self.retentionBytes = Change(retentionBytes)
        self.maxMessageBytes = Change(maxMessageBytes)
        self.subscription = subscription
        self.partitions = partitions
    }
}

extension TopicOptions {
    /// These options after the change; nothing is judged.
    func applying(_ change: TopicChange) -> TopicOptions {
        var options = self
        if let partitions = change.partitions { options.partitions = partitions }
        change.durability.apply(to: &options.durability)
        change.flushIntervalMilliseconds.apply(to: &options.flushIntervalMilliseconds)
        change.segmentBytes.apply(to: &options.segmentBytes)
        change.segmentMilliseconds.apply(to: &options.segmentMilliseconds)
        change.retentionMilliseconds.apply(to: &options.retentionMilliseconds)
        change.retentionBytes.apply(to: &options.retentionBytes)
        change.maxMessageBytes.apply(to: &options.maxMessageBytes)
        change.cleanup.apply(to: &options.cleanup)
        change.timestampType.apply(to: &options.timestampType)
        change.minInsyncReplicas.apply(to: &options.minInsyncReplicas)
        change.deleteRetentionMilliseconds.apply(to: &options.deleteRetentionMilliseconds)
        change.minCompactionLagMilliseconds.apply(to: &options.minCompactionLagMilliseconds)
        change.maxCompactionLagMilliseconds.apply(to: &options.maxCompactionLagMilliseconds)
        change.minCleanableDirtyRatio.apply(to: &options.minCleanableDirtyRatio)
        change.timestampBeforeMaxMilliseconds.apply(to: &options.timestampBeforeMaxMilliseconds)
        change.timestampAfterMaxMilliseconds.apply(to: &options.timestampAfterMaxMilliseconds)
        for (name, change) in change.annotations { change.apply(to: &options.annotations[name]) }
        if let subscription = change.subscription { options.subscription = subscription }
        return options
    }
}
